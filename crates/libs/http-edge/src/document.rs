//! A service's OpenAPI document, completed with what the extractors and the edge answer for every handler.
//!
//! A handler documents its own answers. What all handlers answer the same way is documented here, once.

use axum::http::StatusCode;
use utoipa::openapi::path::{Operation, Parameter, PathItem};
use utoipa::openapi::schema::{SchemaType, Type};
use utoipa::openapi::{
    ContentBuilder, HeaderBuilder, ObjectBuilder, OpenApi, Ref, RefOr, Response, ResponseBuilder, Schema,
    Server,
};

const PROBLEM: &str = "application/problem+json";
const HTML: &str = "text/html";

/// When an operation may answer with a problem of the edge.
#[derive(Clone, Copy, PartialEq, Eq)]
enum When {
    Always,
    ItHasABody,
}

/// What may be answered, when, and why.
const PROBLEMS: [(StatusCode, When, &str); 6] = [
    (
        StatusCode::BAD_REQUEST,
        When::Always,
        "a parameter, a header or the body cannot be read",
    ),
    (
        StatusCode::MISDIRECTED_REQUEST,
        When::Always,
        "the service does not answer under the name in `Host`",
    ),
    (
        StatusCode::PAYLOAD_TOO_LARGE,
        When::ItHasABody,
        "the body is larger than the service takes",
    ),
    (
        StatusCode::UNSUPPORTED_MEDIA_TYPE,
        When::ItHasABody,
        "the body is not sent as JSON, or is compressed",
    ),
    (
        StatusCode::UNPROCESSABLE_ENTITY,
        When::ItHasABody,
        "the body is JSON of another shape, or a field is invalid",
    ),
    (
        StatusCode::SERVICE_UNAVAILABLE,
        When::Always,
        "too many requests are under way, or this one took too long",
    ),
];

/// The forms in which a service answers with a problem.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProblemForm {
    /// `application/problem+json`.
    Json,
    /// The same, and HTML to clients that prefer it.
    JsonOrHtml,
}

/// The schema of a parameter that is one of these words. The words must have no meaning in a regular expression.
pub fn one_of(words: &[&str], default: &str) -> RefOr<Schema> {
    ObjectBuilder::new()
        .schema_type(Type::String)
        .default(Some(default.into()))
        .pattern(Some(format!("^({})$", words.join("|"))))
        .into()
}

/// Completes the document: each response has a description, each operation has the problems that it may answer with, and an
/// optional parameter is a string that may be absent rather than null.
pub fn complete(mut api: OpenApi, form: ProblemForm) -> OpenApi {
    // The service that gave the document, and nobody has to sign in.
    api.servers = Some(vec![Server::new("/")]);
    api.security = Some(Vec::new());
    for operation in api.paths.paths.values_mut().flat_map(operations) {
        for parameter in operation.parameters.iter_mut().flatten() {
            if let RefOr::T(parameter) = parameter {
                allow_no_null(parameter);
            }
        }
        add_problems(operation);
        for (status, response) in &mut operation.responses.responses {
            if let RefOr::T(response) = response {
                describe(status, response);
                if form == ProblemForm::JsonOrHtml && response.content.contains_key(PROBLEM) {
                    let page = ContentBuilder::new().schema(Some(text())).build();
                    response.content.insert(HTML.to_owned(), page.into());
                }
            }
        }
    }
    api
}

fn operations(item: &mut PathItem) -> impl Iterator<Item = &mut Operation> {
    let PathItem {
        get,
        put,
        post,
        delete,
        patch,
        ..
    } = item;
    [get, put, post, delete, patch].into_iter().flatten()
}

fn add_problems(operation: &mut Operation) {
    let has_body = operation.request_body.is_some();
    for (status, when, why) in PROBLEMS {
        if has_body || when == When::Always {
            let responses = &mut operation.responses.responses;
            let response = responses
                .entry(status.as_str().to_owned())
                .or_insert_with(|| problem(why).into());
            if status == StatusCode::SERVICE_UNAVAILABLE
                && let RefOr::T(response) = response
            {
                let seconds = HeaderBuilder::new()
                    .schema(Some(text()))
                    .description(Some("seconds"))
                    .build();
                let retry_after = response.headers.entry("Retry-After".to_owned());
                retry_after.or_insert(seconds.into());
            }
        }
    }
}

fn problem(why: &str) -> Response {
    let content = ContentBuilder::new()
        .schema(Some(Ref::from_schema_name("Problem")))
        .build();
    ResponseBuilder::new()
        .description(why)
        .content(PROBLEM, content)
        .build()
}

/// `OpenAPI` 3.1 wants a description of every response.
fn describe(status: &str, response: &mut Response) {
    if response.description.is_empty() {
        let known = status.parse::<StatusCode>().ok();
        let reason = known.and_then(|status| status.canonical_reason());
        reason.unwrap_or(status).clone_into(&mut response.description);
    }
}

fn allow_no_null(parameter: &mut Parameter) {
    if let Some(RefOr::T(Schema::Object(schema))) = &mut parameter.schema
        && let SchemaType::Array(types) = &mut schema.schema_type
    {
        types.retain(|one| *one != Type::Null);
        if let [only] = types.as_slice() {
            schema.schema_type = SchemaType::Type(only.clone());
        }
    }
}

fn text() -> RefOr<Schema> {
    ObjectBuilder::new().schema_type(Type::String).build().into()
}
