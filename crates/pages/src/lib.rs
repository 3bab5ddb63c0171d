//! What the pages of the consoles have in common: the hub's, and the one of a community.
//!
//! * [`mod@format`]: how numbers, times and names are written for people.
//! * [`assets`]: style sheet, fonts and icons, and under which names browsers find them.
//! * [`policy`]: the headers that every answer of a console has.
//!
//! Words only: it serves nothing and reads no clock. Templates stay with the pages they are for.
//!
//! Invariant: what [`mod@format`] makes of bytes that somebody else chose holds no character that hides,
//! moves or turns the text around it. It is not escaped: that is what templates do.
//!
//! Start reading at [`assets::Assets`].

pub mod assets;
pub mod format;
pub mod policy;
