//! Verge at the edge.

use worker::{Context, Env, Request, Response, Result, event};

/// Answers one request.
#[event(fetch)]
async fn fetch(_request: Request, env: Env, _context: Context) -> Result<Response> {
    let bytes = env.kv("SNAPSHOTS")?.get("manifest/world").bytes().await?;
    Response::ok(format!("{:?}", bytes.map(|bytes| bytes.len())))
}
