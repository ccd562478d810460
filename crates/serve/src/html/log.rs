//! Logs: line by line, as they are read.

use std::fmt::Write;

use larder_runs::sanitise::{Colours, Sanitiser};
use maud::{Markup, html};

use super::{
    Frame,
    parts::{self, text},
};

/// The beginning of the page of a log, up to its lines.
pub fn log_head(
    frame: &Frame<'_>,
    title: &str,
    run: &str,
    raw: Option<&str>,
    error: Option<u64>,
) -> Markup {
    html! {
        (frame.head(title, None))
        h1 { (text(title)) }
        p {
            "In the run " (parts::run(frame, run))
            @if let Some(line) = error { ". " a href={ "#L" (line) } { "Line " (line) " says what went wrong" } }
            @if let Some(raw) = raw { ". " a href=(raw) download { "Download it" } }
            "."
        }
        (maud::PreEscaped("<pre class=\"log\" tabindex=\"0\" aria-label=\"Log\">"))
    }
}

/// The end of the page of a log, after its lines; of one that is `cut_short`, nobody wrote the result.
pub fn log_tail(frame: &Frame<'_>, cut_short: bool) -> Markup {
    html! {
        (maud::PreEscaped("</pre>"))
        @if cut_short { p { "This log has no result: its run ended before there was one." } }
        (frame.tail())
    }
}

/// Makes lines of a page of the bytes of a log, piece by piece, in constant memory. Each line has an anchor `L<number>`,
/// counted from 1; colours become classes.
#[derive(Debug)]
pub struct LogLines {
    sanitiser: Sanitiser,
    /// The line that says what went wrong.
    error: Option<u64>,
    /// The number of the line that is written, and whether it has begun.
    number: u64,
    begun: bool,
    style: Style,
    /// What the sanitiser has given.
    clean: String,
}

/// How text looks.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Style {
    colour: Option<u8>,
    bold: bool,
    italic: bool,
    underlined: bool,
}

impl LogLines {
    /// The lines of a log, of which one may be marked.
    pub fn new(error: Option<u64>) -> Self {
        Self {
            sanitiser: Sanitiser::new(Colours::Keep),
            error,
            number: 0,
            begun: false,
            style: Style::default(),
            clean: String::new(),
        }
    }

    /// Takes the next bytes of the log, and writes what they show to `page`.
    pub fn push(&mut self, bytes: &[u8], page: &mut String) {
        let mut clean = std::mem::take(&mut self.clean);
        for piece in bytes.split_inclusive(|byte| *byte == b'\n') {
            self.sanitiser.push(piece, &mut clean);
            if piece.ends_with(b"\n") {
                self.begin_line(page);
                self.write(clean.strip_suffix('\n').unwrap_or(&clean), page);
                self.end_line(page);
            } else {
                self.write(&clean, page);
            }
            clean.clear();
        }
        self.clean = clean;
    }

    /// Writes what is left at the end of the log.
    pub fn finish(&mut self, page: &mut String) {
        let mut clean = std::mem::take(&mut self.clean);
        self.sanitiser.finish(&mut clean);
        self.write(&clean, page);
        if self.begun {
            self.end_line(page);
        }
    }

    /// Writes a part of a line. Where a carriage return began it anew, it has several lines with one number.
    fn write(&mut self, mut text: &str, page: &mut String) {
        if !text.is_empty() {
            self.begin_line(page);
        }
        while let Some(at) = text.find(['\u{1b}', '&', '<', '>']) {
            let (plain, rest) = text.split_at(at);
            page.push_str(plain);
            let mut skip = 1;
            match rest.as_bytes()[0] {
                b'&' => page.push_str("&amp;"),
                b'<' => page.push_str("&lt;"),
                b'>' => page.push_str("&gt;"),
                // The sanitiser leaves whole sequences that set a colour, and no others.
                _ => {
                    let end = rest.find('m').unwrap_or(rest.len() - 1);
                    self.restyle(rest.get(2..end).unwrap_or_default(), page);
                    skip = end + 1;
                }
            }
            text = &rest[skip..];
        }
        page.push_str(text);
    }

    fn begin_line(&mut self, page: &mut String) {
        if self.begun {
            return;
        }
        self.begun = true;
        self.number += 1;
        let number = self.number;
        let class = if self.error == Some(number) { " class=\"marked\"" } else { "" };
        // Writing to a text does not fail.
        _ = write!(page, "<span id=\"L{number}\"{class}><a href=\"#L{number}\">{number}</a> ");
        self.open_style(page);
    }

    fn end_line(&mut self, page: &mut String) {
        self.close_style(page);
        page.push_str("</span>\n");
        self.begun = false;
    }

    fn open_style(&self, page: &mut String) {
        let Style { colour, bold, italic, underlined } = self.style;
        if self.style == Style::default() {
            return;
        }
        page.push_str("<i class=\"");
        if let Some(colour) = colour {
            _ = write!(page, "c{colour} ");
        }
        for (set, class) in [(bold, "b "), (italic, "i "), (underlined, "u ")] {
            if set {
                page.push_str(class);
            }
        }
        page.truncate(page.trim_end().len());
        page.push_str("\">");
    }

    fn close_style(&self, page: &mut String) {
        if self.style != Style::default() {
            page.push_str("</i>");
        }
    }

    /// Takes over the parameters of a sequence that sets a colour.
    fn restyle(&mut self, parameters: &str, page: &mut String) {
        self.close_style(page);
        let mut parameters = parameters.split([';', ':']);
        while let Some(parameter) = parameters.next() {
            match parameter.parse().unwrap_or(0_u16) {
                0 => self.style = Style::default(),
                1 => self.style.bold = true,
                3 => self.style.italic = true,
                4 => self.style.underlined = true,
                22 => self.style.bold = false,
                23 => self.style.italic = false,
                24 => self.style.underlined = false,
                colour @ 30..=37 => self.style.colour = Some((colour - 30) as u8),
                colour @ 90..=97 => self.style.colour = Some((colour - 90 + 8) as u8),
                39 => self.style.colour = None,
                // Of the many colours, the first sixteen have a class; backgrounds have none.
                38 | 48 => match parameters.next() {
                    Some("5") => {
                        let colour: Option<u8> = parameters.next().and_then(|it| it.parse().ok());
                        if parameter == "38" {
                            self.style.colour = colour.filter(|colour| *colour < 16);
                        }
                    }
                    Some("2") => _ = parameters.by_ref().take(3).count(),
                    _ => {}
                },
                _ => {}
            }
        }
        self.open_style(page);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(pieces: &[&[u8]], error: Option<u64>) -> String {
        let (mut lines, mut page) = (LogLines::new(error), String::new());
        pieces.iter().for_each(|piece| lines.push(piece, &mut page));
        lines.finish(&mut page);
        page
    }

    #[test]
    fn lines_have_anchors_and_the_error_is_marked() {
        assert_eq!(
            shown(&[b"one\n\nthree"], Some(3)),
            "<span id=\"L1\"><a href=\"#L1\">1</a> one</span>\n\
             <span id=\"L2\"><a href=\"#L2\">2</a> </span>\n\
             <span id=\"L3\" class=\"marked\"><a href=\"#L3\">3</a> three</span>\n"
        );
        assert_eq!(shown(&[b""], None), "");
    }

    #[test]
    fn a_line_that_began_anew_has_one_number() {
        let page = shown(&[b"10 %\r20 %\r\nnext\n"], None);
        assert_eq!(
            page,
            "<span id=\"L1\"><a href=\"#L1\">1</a> 10 %\n20 %</span>\n\
             <span id=\"L2\"><a href=\"#L2\">2</a> next</span>\n"
        );
    }

    #[test]
    fn what_a_log_says_is_text() {
        let page = shown(&[b"<script>alert(1)</script> & \x1b]0;title\x07</pre>"], None);
        assert!(!page.contains("<script") && !page.contains("</pre>"), "{page}");
        assert!(page.contains("&lt;script&gt;alert(1)&lt;/script&gt; &amp; "), "{page}");
    }

    #[test]
    fn colours_are_classes_and_go_on_in_the_next_line() {
        let page =
            shown(&[b"\x1b[1;31merror", b":\n more\x1b[0m plain \x1b[38;5;12mblue\x1b[m"], None);
        assert!(page.contains("<i class=\"c1 b\">error:</i></span>\n"), "{page}");
        assert!(
            page.contains("</a> <i class=\"c1 b\"> more</i> plain <i class=\"c12\">blue</i>"),
            "{page}"
        );
        assert_eq!(page.matches("<i ").count(), page.matches("</i>").count(), "{page}");
    }

    #[test]
    fn pieces_make_the_same_page_wherever_they_are_cut() {
        let log = "a\u{e9}\x1b[31mred\n<b>\x1b[0m end\r\nlast".as_bytes();
        let whole = shown(&[log], Some(2));
        for at in 0..log.len() {
            assert_eq!(shown(&[&log[..at], &log[at..]], Some(2)), whole, "cut at {at}");
        }
    }
}
