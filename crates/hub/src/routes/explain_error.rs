//! `GET /errors/{code}`: what a problem code means and what to do: where the `type` of every
//! problem document leads.

use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse as _, Response};
use hub_api::ProblemCode;

use crate::caller::Segments;
use crate::refusal::Refusal;

/// One section for every code, headed by it.
const PAGE: &str = include_str!("../../../../docs/errors.md");

pub(crate) async fn explain_error(segments: Segments) -> Result<Response, Refusal> {
    let code: String = segments.parse("code")?;
    let code = ProblemCode::ALL.iter().find(|known| known.as_str() == code);
    let section = code.and_then(|code| section(*code)).ok_or_else(Refusal::not_found)?;
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8")),
        (header::CACHE_CONTROL, HeaderValue::from_static("public, max-age=3600")),
    ];
    Ok((headers, section).into_response())
}

/// The section of a code, with its heading.
fn section(code: ProblemCode) -> Option<&'static str> {
    let start = PAGE.find(&format!("\n## {code}\n"))? + 1;
    let section = &PAGE[start..];
    let end = section.find("\n## ").map_or(section.len(), |end| end + 1);
    Some(section[..end].trim_end())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_has_a_section_and_every_section_a_code() {
        for code in ProblemCode::ALL {
            let section = section(*code).unwrap_or_else(|| panic!("docs/errors.md lacks {code}"));
            let status = format!("`{}`", code.status());
            assert!(section.contains(&status), "{code} has status {status}");
            assert!(section.contains("**What to do**"), "{code} says what to do");
        }
        let headings = PAGE.lines().filter_map(|line| line.strip_prefix("## "));
        for heading in headings {
            let known = ProblemCode::ALL.iter().any(|code| code.as_str() == heading);
            assert!(known, "{heading} is no code");
        }
    }
}
