//! `verge health`: whether the service works.

use crate::config::Config;
use anyhow::{Context, Result, bail};
use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    time::Duration,
};

/// How long the service may take to answer.
const TIMEOUT: Duration = Duration::from_secs(3);

/// Ask the service on this machine whether it works.
///
/// Sends GET /healthz to the address of `listen`, and exits with status 1 if there is no answer within 3 s. For the health
/// check of a container.
#[derive(Debug, clap::Args)]
pub struct HealthArgs {
    /// Ask /readyz instead: whether all parts of the service work
    #[arg(long)]
    ready: bool,
}

/// Runs the command.
///
/// # Errors
/// The service does not answer, or answers that it does not work.
pub fn run(args: &HealthArgs, config: &Config) -> Result<()> {
    let path = if args.ready { "/readyz" } else { "/healthz" };
    let scheme = if config.serve.tls_certificate.is_some() { "https" } else { "http" };
    let url = format!("{scheme}://{}{path}", reachable(config.serve.listen));
    // The certificate names the service's host, not this machine.
    let tls = ureq::tls::TlsConfig::builder().disable_verification(true).build();
    let agent = ureq::Agent::config_builder()
        .timeout_global(Some(TIMEOUT))
        .http_status_as_error(false)
        .tls_config(tls)
        .build();
    let mut response =
        ureq::Agent::from(agent).get(&url).call().with_context(|| format!("no answer from {url}"))?;
    let body = response.body_mut().read_to_string().unwrap_or_default();
    if !response.status().is_success() {
        bail!("{url} answers {}: {body}", response.status().as_u16());
    }
    println!("{body}");
    Ok(())
}

/// The address by which a service on this machine is reached that listens on `address`.
fn reachable(address: SocketAddr) -> SocketAddr {
    let ip = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, address.port())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_service_that_listens_on_all_addresses_is_asked_on_this_machine() {
        for (listen, asked) in
            [("0.0.0.0:8080", "127.0.0.1:8080"), ("[::]:80", "[::1]:80"), ("192.0.2.7:9", "192.0.2.7:9")]
        {
            assert_eq!(reachable(listen.parse().unwrap()).to_string(), asked);
        }
    }
}
