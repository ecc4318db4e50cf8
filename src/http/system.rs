//! What watchers and people ask of the program itself: is it alive, may it take traffic, how is it doing, what is its API.

use std::sync::Arc;

use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use serde_json::json;
use utoipa::ToSchema;

use super::answer::Answer;
use super::edge::Edge;
use super::endpoint::{Draft, Gives, Takes};
use super::error::Refusal;
use super::route::{Rate, Route, get};
use crate::domain::access::Access::Public;
use crate::error::Error;

/// The routes outside `/api`, which every edge has.
pub fn routes<S: Edge>() -> Vec<Route<S>> {
    vec![
        get("/healthz", Public, alive::<S>).rate(Rate::Unlimited).summary("进程存活"),
        get("/readyz", Public, ready::<S>).rate(Rate::Unlimited).summary("可以接收请求"),
        get("/metrics", Public, metrics::<S>).rate(Rate::Unlimited).summary("Prometheus 指标"),
        get("/openapi.json", Public, document::<S>).rate(Rate::Unlimited).summary("本接口文档"),
        get("/docs", Public, docs::<S>).rate(Rate::Unlimited).summary("接口文档页面"),
        get("/docs/", Public, docs_index::<S>).rate(Rate::Unlimited).summary("接口文档页面"),
        get("/docs/{file}", Public, docs_file::<S>).rate(Rate::Unlimited).summary("接口文档页面的文件"),
    ]
}

/// An answer that is not in the envelope.
pub struct Page(Response);

impl IntoResponse for Page {
    fn into_response(self) -> Response {
        self.0
    }
}

impl Gives for Page {
    fn describe(draft: &mut Draft) {
        draft.status = 200;
    }
}

/// An answer that only says where to look.
pub struct Moved(&'static str);

impl IntoResponse for Moved {
    fn into_response(self) -> Response {
        (StatusCode::PERMANENT_REDIRECT, [(header::LOCATION, self.0)]).into_response()
    }
}

impl Gives for Moved {
    fn describe(draft: &mut Draft) {
        draft.status = 308;
    }
}

/// The name of a file below `/docs`.
pub struct FileName(String);

impl<S: Send + Sync> axum::extract::FromRequestParts<S> for FileName {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut axum::http::request::Parts, state: &S) -> Result<Self, Refusal> {
        let params = axum::extract::RawPathParams::from_request_parts(parts, state).await;
        let params = params.map_err(|_| Refusal::NoRoute)?;
        let (_, name) = params.iter().next().ok_or(Refusal::NoRoute)?;
        Ok(Self(name.to_owned()))
    }
}

impl Takes for FileName {
    fn describe(draft: &mut Draft) {
        draft.parameters.push(json!({"name": "file", "in": "path", "required": true, "schema": {"type": "string"}}));
    }
}

#[derive(Serialize, ToSchema)]
struct StateView {
    /// Always `ok`; anything else is a refusal.
    #[schema(example = "ok")]
    status: &'static str,
}

async fn alive<S: Edge>(State(_): State<S>) -> Result<Answer<StateView>, Refusal> {
    Ok(Answer::new("正常", StateView { status: "ok" })?)
}

async fn ready<S: Edge>(State(edge): State<S>) -> Result<Answer<StateView>, Refusal> {
    edge.ready().await?;
    Ok(Answer::new("正常", StateView { status: "ok" })?)
}

async fn metrics<S: Edge>(State(edge): State<S>) -> Page {
    let content_type = [(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")];
    Page((content_type, edge.metrics()).into_response())
}

async fn document<S: Edge>(State(edge): State<S>) -> Page {
    Page(([(header::CONTENT_TYPE, "application/json")], edge.document()).into_response())
}

/// The page names its files relative to itself, so it needs the slash.
async fn docs<S: Edge>(State(_): State<S>) -> Moved {
    Moved("/docs/")
}

async fn docs_index<S: Edge>(State(_): State<S>) -> Page {
    Page(docs_page("index.html"))
}

async fn docs_file<S: Edge>(State(_): State<S>, FileName(name): FileName) -> Page {
    Page(docs_page(&name))
}

/// Swagger UI, from the binary. Its pages may load what comes from here and nothing else.
fn docs_page(name: &str) -> Response {
    let config = Arc::new(utoipa_swagger_ui::Config::from("/openapi.json"));
    match utoipa_swagger_ui::serve(name, config) {
        Ok(Some(file)) => {
            let policy =
                "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; frame-ancestors 'none'";
            let headers =
                [(header::CONTENT_TYPE, file.content_type.as_str()), (header::CONTENT_SECURITY_POLICY, policy)];
            (headers, file.bytes.into_owned()).into_response()
        }
        Ok(None) => Refusal::NoRoute.into_response(),
        Err(error) => {
            tracing::error!(error = %error, "a page of the documentation could not be made");
            Refusal::Error(Error::Panicked).into_response()
        }
    }
}
