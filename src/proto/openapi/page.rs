//! The page that lets a person try the routes: three files that are part of the program.
//!
//! It loads nothing from anywhere else, and its policy forbids it to: no inline script or style, no
//! frame around it, no connection but to this server.

use std::sync::{Arc, LazyLock};

use crate::handlers::api::Document;
use crate::handlers::encoded::Encoded;

macro_rules! file {
    ($(#[$doc:meta])* $name:ident, $media_type:literal, $file:literal) => {
        $(#[$doc])*
        pub(super) fn $name() -> Document {
            static MADE: LazyLock<Arc<Encoded>> =
                LazyLock::new(|| Arc::new(Encoded::new(include_bytes!($file).to_vec())));
            Document { content_type: $media_type, body: MADE.clone(), headers: HEADERS }
        }
    };
}

file!(
    /// The page.
    html,
    "text/html; charset=utf-8",
    "page/docs.html"
);
file!(
    /// What makes it live.
    script,
    "text/javascript; charset=utf-8",
    "page/app.js"
);
file!(
    /// How it looks.
    style,
    "text/css; charset=utf-8",
    "page/style.css"
);

const HEADERS: &[(&str, &str)] = &[
    (
        "Content-Security-Policy",
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src data:; \
         base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'",
    ),
    ("Referrer-Policy", "no-referrer"),
    ("Cross-Origin-Opener-Policy", "same-origin"),
];

#[cfg(test)]
mod tests {
    use super::*;

    fn text(document: Document) -> String {
        String::from_utf8(document.body.plain().to_vec()).unwrap()
    }

    /// The page keeps its own policy: nothing inline, nothing from elsewhere, no text made into markup.
    #[test]
    fn the_page_keeps_its_policy() {
        let (html, script, style) = (text(html()), text(script()), text(style()));
        for forbidden in ["<script>", "<style", " style=", " onclick", " onload", "http://", "https://"] {
            assert!(!html.contains(forbidden), "{forbidden}");
        }
        for forbidden in [
            "innerHTML",
            "outerHTML",
            "insertAdjacent",
            "document.write",
            "eval(",
            "Function(",
            "Storage",
            "cookie",
            "http://",
            "https://",
        ] {
            assert!(!script.contains(forbidden), "{forbidden}");
        }
        assert!(!style.contains("url(") && !style.contains("@import"));
        for needed in ["src=\"/docs/app.js\"", "href=\"/docs/style.css\"", "lang=\"en\"", "name=\"viewport\""] {
            assert!(html.contains(needed), "{needed}");
        }
    }
}
