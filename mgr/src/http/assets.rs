//! The page's files, as the front end's build left them in `mgr/dashboard/dist/` (decision 0092).

use axum::{
    http::header,
    response::{IntoResponse, Response},
};

const INDEX: &str = include_str!("../../dashboard/dist/index.html");
const SCRIPT: &str = include_str!("../../dashboard/dist/dashboard.js");
const STYLE: &str = include_str!("../../dashboard/dist/dashboard.css");
const ICON: &str = include_str!("../../dashboard/dist/icon.svg");

pub(super) fn index() -> Response {
    file("text/html; charset=utf-8", INDEX)
}

pub(super) async fn script() -> Response {
    file("text/javascript; charset=utf-8", SCRIPT)
}

pub(super) async fn style() -> Response {
    file("text/css; charset=utf-8", STYLE)
}

pub(super) async fn icon() -> Response {
    file("image/svg+xml", ICON)
}

/// Asked for anew each time: the next release's page must not meet this one's script.
fn file(kind: &'static str, content: &'static str) -> Response {
    ([(header::CONTENT_TYPE, kind), (header::CACHE_CONTROL, "no-cache")], content).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_needs_nothing_from_elsewhere_and_has_no_inline_script() {
        assert!(INDEX.contains("src=\"dashboard.js\"") && INDEX.contains("href=\"dashboard.css\""));
        assert!(!INDEX.contains("://") && !INDEX.contains("<style") && !INDEX.contains(" style="));
        assert_eq!(INDEX.matches("<script").count(), 1);
        assert!(!STYLE.contains("url(") && !STYLE.contains("@import"));
    }
}
