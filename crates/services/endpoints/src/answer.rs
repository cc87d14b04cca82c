//! The JSON of endpoints: what `GET` answers, and what their events carry.

use event_bus::Version;
use serde::Serialize;
use utoipa::ToSchema;

use crate::endpoint::{Endpoint, EndpointList};

/// The version of this file's forms (rule 25). It is part of every `ETag`, so that an answer of another form is another answer: raise it
/// with every change of what `GET` answers.
pub const FORM: u32 = 1;

/// A URL that an account monitors.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct EndpointAnswer {
    /// Used once, unless the database is reset.
    #[schema(example = 3)]
    id: i64,
    #[schema(example = 1)]
    account_id: i64,
    #[schema(example = "Website", min_length = 1, max_length = 100)]
    name: String,
    /// As the URL standard's parser writes it.
    #[schema(example = "https://example.org/", format = "uri", max_length = 2048)]
    url: String,
    /// RFC 3339, UTC, milliseconds.
    #[schema(format = DateTime)]
    created_at: String,
    #[schema(format = DateTime)]
    updated_at: String,
}

impl From<&Endpoint> for EndpointAnswer {
    fn from(endpoint: &Endpoint) -> Self {
        Self {
            id: endpoint.id.0,
            account_id: endpoint.account_id.0,
            name: endpoint.name.as_str().to_owned(),
            url: endpoint.url.as_str().to_owned(),
            created_at: format!("{:.3}", endpoint.created_at),
            updated_at: format!("{:.3}", endpoint.updated_at),
        }
    }
}

/// The endpoints of an account, by id.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct EndpointListAnswer {
    #[schema(example = 1)]
    account_id: i64,
    /// Counts the changes of this list; 0 if there never was an endpoint.
    #[schema(example = 9)]
    revision: u64,
    #[schema(max_items = 500)]
    endpoints: Vec<EndpointAnswer>,
}

impl From<&EndpointList> for EndpointListAnswer {
    fn from(list: &EndpointList) -> Self {
        Self {
            account_id: list.account_id.0,
            revision: list.version.revision,
            endpoints: list.endpoints.iter().map(EndpointAnswer::from).collect(),
        }
    }
}

/// The `ETag` of an answer: which state it shows, and in which form.
pub(crate) fn etag(version: Version) -> String {
    format!("\"{version}-v{FORM}\"")
}
