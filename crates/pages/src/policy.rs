//! The headers that every answer of a console has.

/// No script, style, picture or connection but our own, no frame around or within, no plugin, no
/// base; nothing inline.
pub const CONTENT: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; \
                           font-src 'self'; connect-src 'self'; form-action 'self'; base-uri 'none'; \
                           frame-ancestors 'none'";

/// Names and values.
pub const HEADERS: [(&str, &str); 7] = [
    ("content-security-policy", CONTENT),
    ("referrer-policy", "no-referrer"),
    ("x-frame-options", "DENY"),
    ("cross-origin-opener-policy", "same-origin"),
    ("cross-origin-resource-policy", "same-origin"),
    ("permissions-policy", "camera=(), geolocation=(), microphone=()"),
    ("x-robots-tag", "noindex"),
];
