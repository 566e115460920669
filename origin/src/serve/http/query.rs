//! The parts of an address: the id in its path, and its query.

use crate::serve::http::problem::{Problem, Result, field_of};
use axum::{
    extract::{FromRequestParts, Path},
    http::{Uri, request::Parts},
};
use serde::de::DeserializeOwned;
use snapshots::event::{MAX_ITEM_ID, is_printable};

/// The id in a path: of an item, a visitor or a model.
pub(crate) struct PathId(pub(crate) String);

impl<S: Send + Sync> FromRequestParts<S> for PathId {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self> {
        match Path::<String>::from_request_parts(parts, state).await {
            Ok(Path(id)) if is_printable(&id, MAX_ITEM_ID) => Ok(Self(id)),
            _ => {
                let detail =
                    format!("The id in the path must be 1 to {MAX_ITEM_ID} printable bytes of UTF-8.");
                Err(Problem::bad_request("id", detail))
            }
        }
    }
}

/// Parses the query. `T` should deny unknown fields, so that a misspelt parameter is an error.
///
/// # Errors
/// 400 that names the parameter.
pub(crate) fn read<T: DeserializeOwned>(uri: &Uri) -> Result<T> {
    let pairs = form_urlencoded::parse(uri.query().unwrap_or("").as_bytes());
    let query = serde_urlencoded::Deserializer::new(pairs);
    serde_path_to_error::deserialize(query).map_err(|error| {
        let message = error.inner().to_string();
        Problem::bad_request(&field_of(&error.path().to_string(), &message, "query"), message)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, PartialEq, serde::Deserialize)]
    #[serde(default, deny_unknown_fields)]
    struct Options {
        full: bool,
        limit: u8,
    }

    impl Default for Options {
        fn default() -> Self {
            Self { full: false, limit: 7 }
        }
    }

    #[test]
    fn an_error_names_the_parameter() {
        let read = |query: &str| read::<Options>(&format!("/x{query}").parse().unwrap());
        assert_eq!(read("").unwrap(), Options::default());
        assert_eq!(read("?full=true&limit=3").unwrap(), Options { full: true, limit: 3 });
        for (query, field) in [("?full=maybe", "full"), ("?limit=300", "limit"), ("?ful=true", "ful")] {
            let problem = read(query).unwrap_err();
            assert_eq!((problem.status, problem.field.as_deref()), (400, Some(field)), "{problem:?}");
        }
    }
}
