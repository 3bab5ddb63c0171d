//! A terminal's screen as an SVG file that needs no fonts of its own.

use std::fmt::Write as _;

use vt100::{Cell, Color};

/// Size of a character cell and of the frame, in pixels.
const CELL_WIDTH: f64 = 8.4;
const LINE_HEIGHT: f64 = 19.0;
const MARGIN: f64 = 18.0;
const BAR_HEIGHT: f64 = 34.0;

const BACKGROUND: &str = "#16181d";
const FOREGROUND: &str = "#d7dae0";
/// The first eight colours of a terminal, then the same in bold.
const PALETTE: [&str; 8] =
    ["#5c6370", "#f0717b", "#98c379", "#e5c07b", "#61afef", "#c678dd", "#56b6c2", "#d7dae0"];

/// Draws the lines up to the last that is not empty.
pub(super) fn draw(parser: &vt100::Parser, title: &str) -> String {
    let screen = parser.screen();
    let (rows, columns) = screen.size();
    let (rows, columns) = (u16::from(rows), u16::from(columns));
    let used = (0..rows).rev().find(|row| {
        (0..columns).any(|column| screen.cell(*row, column).is_some_and(Cell::has_contents))
    });
    let lines = used.map_or(1, |row| row + 1);
    let width = f64::from(columns) * CELL_WIDTH + 2.0 * MARGIN;
    let height = BAR_HEIGHT + f64::from(lines) * LINE_HEIGHT + MARGIN;
    let mut svg = String::new();
    let _ = write!(
        svg,
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width:.0} {height:.0}\" \
         width=\"{width:.0}\" height=\"{height:.0}\" role=\"img\" aria-label=\"{}\">\n\
         <rect width=\"100%\" height=\"100%\" rx=\"10\" fill=\"{BACKGROUND}\"/>\n",
        escaped(title)
    );
    for (at, colour) in [(0.0, "#f0717b"), (1.0, "#e5c07b"), (2.0, "#98c379")] {
        let x = MARGIN + 5.0 + at * 18.0;
        let _ = writeln!(svg, "<circle cx=\"{x}\" cy=\"17\" r=\"5.5\" fill=\"{colour}\"/>");
    }
    let _ = writeln!(
        svg,
        "<g font-family=\"ui-monospace, 'SF Mono', Menlo, 'DejaVu Sans Mono', Consolas, monospace\" \
         font-size=\"14\" fill=\"{FOREGROUND}\" xml:space=\"preserve\">"
    );
    for row in 0..lines {
        let y = BAR_HEIGHT + f64::from(row) * LINE_HEIGHT + 14.0;
        for run in runs(parser, row, columns) {
            let x = MARGIN + f64::from(run.column) * CELL_WIDTH;
            // The length is given, so that every font falls into the same columns.
            let length = f64::from(run.cells) * CELL_WIDTH;
            let _ = writeln!(
                svg,
                "<text x=\"{x:.1}\" y=\"{y:.1}\" textLength=\"{length:.1}\"{}>{}</text>",
                run.style,
                escaped(&run.text)
            );
        }
    }
    svg.push_str("</g>\n</svg>\n");
    svg
}

/// Cells that look alike.
struct Run {
    column: u16,
    cells: u16,
    style: String,
    text: String,
}

fn runs(parser: &vt100::Parser, row: u16, columns: u16) -> Vec<Run> {
    let mut runs: Vec<Run> = Vec::new();
    let mut gap = 0;
    for column in 0..columns {
        let cell = parser.screen().cell(row, column);
        let Some(cell) = cell.filter(|cell| !cell.is_wide_continuation()) else { continue };
        if !cell.has_contents() || cell.contents() == " " {
            gap += 1;
            continue;
        }
        let style = style(cell);
        match runs.last_mut() {
            // One space belongs to a text; a wider gap starts a new one.
            Some(run) if run.style == style && gap <= 1 => {
                run.text.push_str(&" ".repeat(gap));
                run.text.push_str(cell.contents());
                run.cells = column + 1 - run.column;
            }
            _ => runs.push(Run { column, cells: 1, style, text: cell.contents().to_owned() }),
        }
        gap = 0;
    }
    runs
}

fn style(cell: &Cell) -> String {
    let mut style = match cell.fgcolor() {
        Color::Default => String::new(),
        Color::Idx(number) => {
            format!(" fill=\"{}\"", PALETTE[usize::from(number) % PALETTE.len()])
        }
        Color::Rgb(red, green, blue) => format!(" fill=\"#{red:02x}{green:02x}{blue:02x}\""),
    };
    if cell.bold() {
        style.push_str(" font-weight=\"bold\"");
    }
    if cell.dim() {
        style.push_str(" opacity=\"0.6\"");
    }
    style
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn size(cells: u16) -> std::num::NonZeroU16 {
        cells.try_into().expect("not zero")
    }

    #[test]
    fn words_stay_in_their_columns_and_keep_their_colours() {
        let mut parser = vt100::Parser::new(size(4), size(40), 0);
        parser.process(b"ok \x1b[31;1mbad\x1b[0m     <far>\r\n");
        let svg = draw(&parser, "a \"title\"");
        assert!(svg.contains("aria-label=\"a &quot;title&quot;\""));
        assert!(svg.contains(">ok</text>"));
        let red = format!("fill=\"{}\" font-weight=\"bold\">bad</text>", PALETTE[1]);
        assert!(svg.contains(&red), "{svg}");
        let far = format!("x=\"{:.1}\"", MARGIN + 11.0 * CELL_WIDTH);
        assert!(svg.contains(&far) && svg.contains("&lt;far&gt;"), "{svg}");
        assert_eq!(svg.matches("<text ").count(), 3);
    }
}
