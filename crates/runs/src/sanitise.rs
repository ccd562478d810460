//! Text from outside made fit to show: the one sanitiser of everything that is printed or sent.
//!
//! Logs, names and messages of servers are written by others. Shown as they are, they could move the
//! cursor, hide or forge lines, set the clipboard or make text read backwards. What comes out of here is
//! valid UTF-8 without control characters other than line feed and tab, without terminal escapes and
//! without characters that change the direction of text; where asked for, colours stay.
//!
//! | in | out |
//! |---|---|
//! | escape sequences, 7-bit (`ESC [`) and 8-bit (U+009B) | nothing; colours stay with [`Colours::Keep`] |
//! | titles, links, clipboard and other strings (OSC, DCS, APC, PM, SOS) | nothing, up to the end of the line at most |
//! | carriage return and line feed | line feed |
//! | carriage return alone, U+2028, U+2029 | line feed: no line overwrites another |
//! | other control characters (C0, C1, DEL) | U+FFFD |
//! | bidirectional embeddings, overrides, isolates, marks | U+FFFD |
//! | bytes that are not UTF-8 | U+FFFD |

use std::io::{self, Write};

/// Whether colours may stay.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Colours {
    /// As SGR sequences that set a colour, bold, faint, italic or underlined, and nothing else; what is
    /// set at the end is reset.
    Keep,
    /// Not at all.
    Strip,
}

/// The longest list of SGR parameters that is looked at, in bytes.
const LONGEST_PARAMETERS: usize = 64;

/// Stands for what must not be shown.
const REPLACEMENT: char = '\u{fffd}';

/// Makes text fit to show, piece by piece, in constant memory.
#[derive(Debug, Clone)]
pub struct Sanitiser {
    colours: Colours,
    state: State,
    /// The parameters of the sequence that is being read.
    parameters: String,
    /// The first bytes of a character whose last ones have not come yet.
    partial: Vec<u8>,
    /// A colour is set.
    styled: bool,
}

/// Where in a sequence the text is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Text,
    /// After a carriage return, which counts only once it is known that no line feed follows.
    Return,
    Escape,
    /// In an escape with intermediate bytes, such as `ESC ( B`.
    Intermediate,
    Control,
    /// In a control sequence that sets no colour.
    Ignored,
    /// In a string that ends with BEL or ST, or with the line.
    Payload,
    /// In such a string, after ESC.
    PayloadEscape,
}

impl Sanitiser {
    /// One at the beginning of a text.
    pub fn new(colours: Colours) -> Sanitiser {
        Sanitiser {
            colours,
            state: State::Text,
            parameters: String::new(),
            partial: Vec::new(),
            styled: false,
        }
    }

    /// Appends the next piece of the text, made fit, to `output`. A piece may end anywhere.
    pub fn push(&mut self, piece: &[u8], output: &mut String) {
        let joined;
        let mut rest = piece;
        if !self.partial.is_empty() {
            joined = [std::mem::take(&mut self.partial).as_slice(), piece].concat();
            rest = &joined;
        }
        loop {
            match std::str::from_utf8(rest) {
                Ok(text) => return self.text(text, output),
                Err(error) => {
                    let (valid, after) = rest.split_at(error.valid_up_to());
                    self.text(std::str::from_utf8(valid).unwrap_or_default(), output);
                    match error.error_len() {
                        Some(wrong) => {
                            self.character(REPLACEMENT, output);
                            rest = after.get(wrong..).unwrap_or_default();
                        }
                        None => {
                            self.partial = after.to_vec();
                            return;
                        }
                    }
                }
            }
        }
    }

    /// Appends what is left at the end of the text; then another may begin.
    pub fn finish(&mut self, output: &mut String) {
        if !std::mem::take(&mut self.partial).is_empty() {
            self.character(REPLACEMENT, output);
        }
        if self.state == State::Return {
            output.push('\n');
        }
        self.state = State::Text;
        if std::mem::take(&mut self.styled) {
            output.push_str("\x1b[0m");
        }
    }

    fn text(&mut self, text: &str, output: &mut String) {
        let mut rest = text;
        while !rest.is_empty() {
            if self.state == State::Text {
                let plain =
                    rest.bytes().position(|byte| !(b' '..=b'~').contains(&byte) && byte != b'\n');
                let (clean, after) = rest.split_at(plain.unwrap_or(rest.len()));
                output.push_str(clean);
                rest = after;
            }
            let mut characters = rest.chars();
            if let Some(character) = characters.next() {
                self.character(character, output);
                rest = characters.as_str();
            }
        }
    }

    fn character(&mut self, c: char, output: &mut String) {
        match self.state {
            State::Text => self.plain(c, output),
            State::Return => {
                self.state = State::Text;
                if c != '\n' && c != '\r' {
                    output.push('\n');
                }
                self.plain(c, output);
            }
            // A line that ends ends every sequence: a log that breaks off in one loses no more than that line.
            _ if matches!(c, '\n' | '\r') => {
                self.state = State::Text;
                self.plain(c, output);
            }
            State::Payload => match c {
                '\x07' | '\u{9c}' => self.state = State::Text,
                '\x1b' => self.state = State::PayloadEscape,
                _ => {}
            },
            State::PayloadEscape if c == '\\' => self.state = State::Text,
            _ if c == '\x1b' => self.state = State::Escape,
            State::Escape | State::PayloadEscape => self.escape(c),
            State::Intermediate if (' '..='/').contains(&c) => {}
            State::Intermediate => self.state = State::Text,
            State::Control | State::Ignored => self.control(c, output),
        }
    }

    fn plain(&mut self, c: char, output: &mut String) {
        match c {
            '\r' => self.state = State::Return,
            '\x1b' => self.state = State::Escape,
            '\u{9b}' => self.begin_control(),
            '\u{90}' | '\u{98}' | '\u{9d}' | '\u{9e}' | '\u{9f}' => self.state = State::Payload,
            '\u{2028}' | '\u{2029}' => output.push('\n'),
            '\n' | '\t' => output.push(c),
            _ if c.is_control() || turns(c) => output.push(REPLACEMENT),
            _ => output.push(c),
        }
    }

    fn escape(&mut self, c: char) {
        match c {
            '[' => self.begin_control(),
            ']' | 'P' | 'X' | '^' | '_' => self.state = State::Payload,
            ' '..='/' => self.state = State::Intermediate,
            _ => self.state = State::Text,
        }
    }

    fn begin_control(&mut self) {
        self.parameters.clear();
        self.state = State::Control;
    }

    fn control(&mut self, c: char, output: &mut String) {
        match c {
            '0'..='9' | ';' | ':' if self.parameters.len() < LONGEST_PARAMETERS => {
                self.parameters.push(c);
            }
            ' '..='?' => self.state = State::Ignored,
            'm' if self.state == State::Control => {
                self.state = State::Text;
                if self.colours == Colours::Keep {
                    self.colour(output);
                }
            }
            _ => self.state = State::Text,
        }
    }

    /// Appends an SGR sequence with what of the parameters is a colour.
    fn colour(&mut self, output: &mut String) {
        let mut kept: Vec<&str> = Vec::new();
        let mut parameters = self.parameters.split(';');
        while let Some(parameter) = parameters.next() {
            let (code, inner) = parameter.split_once(':').unwrap_or((parameter, ""));
            match code.trim_start_matches('0') {
                "" if inner.is_empty() => kept.push("0"),
                "1" | "2" | "3" | "4" | "22" | "23" | "24" if inner.is_empty() => kept.push(code),
                "39" | "49" if inner.is_empty() => kept.push(code),
                "38" | "48" if !inner.is_empty() => kept.push(parameter),
                "38" | "48" => {
                    // `38;5;N` and `38;2;R;G;B`: all of it or nothing.
                    let kind = parameters.next();
                    let count = match kind {
                        Some("5") => 1,
                        Some("2") => 3,
                        _ => break,
                    };
                    let values: Vec<&str> = parameters.by_ref().take(count).collect();
                    if values.len() == count {
                        kept.extend([code].into_iter().chain(kind).chain(values));
                    }
                }
                other if inner.is_empty() && is_colour(other) => kept.push(code),
                _ => {}
            }
        }
        if !kept.is_empty() {
            self.styled = kept.last() != Some(&"0");
            output.push_str("\x1b[");
            output.push_str(&kept.join(";"));
            output.push('m');
        }
    }
}

fn is_colour(code: &str) -> bool {
    code.parse::<u32>().is_ok_and(|code| matches!(code, 30..=37 | 40..=47 | 90..=97 | 100..=107))
}

/// Whether a character changes the direction in which its neighbours are read.
fn turns(c: char) -> bool {
    matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// A text fit to show, of several lines, without colours.
pub fn text(text: impl AsRef<[u8]>) -> String {
    let mut sanitiser = Sanitiser::new(Colours::Strip);
    let mut output = String::with_capacity(text.as_ref().len());
    sanitiser.push(text.as_ref(), &mut output);
    sanitiser.finish(&mut output);
    output
}

/// A text fit to show, in one line and without colours: line feeds and tabs become spaces.
pub fn line(text: impl AsRef<[u8]>) -> String {
    self::text(text).replace(['\n', '\t'], " ")
}

/// A writer through which everything passes made fit: for logs on their way to a terminal or a pager.
///
/// What is held back at the end of a log comes out with [`Sanitised::finish`].
#[derive(Debug)]
pub struct Sanitised<W> {
    sanitiser: Sanitiser,
    writer: W,
    buffer: String,
}

impl<W: Write> Sanitised<W> {
    /// A writer before this one.
    pub fn new(writer: W, colours: Colours) -> Sanitised<W> {
        Sanitised { sanitiser: Sanitiser::new(colours), writer, buffer: String::new() }
    }

    /// Writes what was held back, resets colours, flushes, and gives the writer behind back.
    ///
    /// # Errors
    /// Those of the writer behind.
    pub fn finish(mut self) -> io::Result<W> {
        self.sanitiser.finish(&mut self.buffer);
        self.writer.write_all(self.buffer.as_bytes())?;
        self.writer.flush()?;
        Ok(self.writer)
    }
}

impl<W: Write> Write for Sanitised<W> {
    /// Takes all of `piece`, or fails.
    fn write(&mut self, piece: &[u8]) -> io::Result<usize> {
        self.buffer.clear();
        self.sanitiser.push(piece, &mut self.buffer);
        let written = self.writer.write_all(self.buffer.as_bytes());
        self.buffer.clear();
        written.map(|()| piece.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.writer.flush()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn coloured(pieces: &[&[u8]]) -> String {
        let mut sanitiser = Sanitiser::new(Colours::Keep);
        let mut output = String::new();
        pieces.iter().for_each(|piece| sanitiser.push(piece, &mut output));
        sanitiser.finish(&mut output);
        output
    }

    #[test]
    fn nothing_moves_the_cursor_or_speaks_to_the_terminal() {
        for (from, to) in [
            ("plain text\twith ä 漢字 🦀\n", "plain text\twith ä 漢字 🦀\n"),
            ("a\x1b[2J\x1b[1;1Hb\x1b[Kc", "abc"),
            ("a\u{9b}2Jb", "ab"),
            ("a\x1b]0;title\x07b\x1b]8;;http://x\x1b\\link\x1b]8;;\x1b\\", "ablink"),
            ("a\x1bP1$r\x1b\\b\u{9d}52;c;AAAA\u{9c}c\x1b_x\x1b\\d", "abcd"),
            ("a\x1b(Bb\x1b=c\x1bcd", "abcd"),
            ("a\x1b]0;never ends\nb", "a\nb"),
            ("a\x1b[31\nb", "a\nb"),
            ("honest\rforged", "honest\nforged"),
            ("one\r\ntwo\r\r\nthree\r", "one\ntwo\nthree\n"),
            ("a\u{2028}b\u{2029}c", "a\nb\nc"),
            ("a\x08b\x00c\x07d\x7fe\u{85}f", "a\u{fffd}b\u{fffd}c\u{fffd}d\u{fffd}e\u{fffd}f"),
            (
                "user\u{202e}gpj.exe \u{2066}x\u{2069}\u{200f}",
                "user\u{fffd}gpj.exe \u{fffd}x\u{fffd}\u{fffd}",
            ),
        ] {
            assert_eq!(text(from), to, "{from:?}");
        }
        assert_eq!(text(b"a\xff\x9b2Jb\xe6\xbc"), "a\u{fffd}\u{fffd}2Jb\u{fffd}");
        assert_eq!(line("a\r\nb\tc\x1b[31md"), "a b cd");
    }

    #[test]
    fn colours_stay_as_colours_only() {
        for (from, to) in [
            ("\x1b[1;31merror\x1b[0m", "\x1b[1;31merror\x1b[0m"),
            ("\x1b[01m\x1b[Ka.c\x1b[m\x1b[K", "\x1b[01ma.c\x1b[0m"),
            ("\x1b[38;5;9mx\x1b[39m", "\x1b[38;5;9mx\x1b[39m\x1b[0m"),
            ("\x1b[38;2;1;2;3;1mx\x1b[0m", "\x1b[38;2;1;2;3;1mx\x1b[0m"),
            ("\x1b[38:2::1:2:3mx\x1b[0m", "\x1b[38:2::1:2:3mx\x1b[0m"),
            ("\u{9b}32mx", "\x1b[32mx\x1b[0m"),
            ("\x1b[8mhidden\x1b[5;31mx\x1b[0m", "hidden\x1b[31mx\x1b[0m"),
            ("\x1b[?31m\x1b[>4;2mx\x1b[31 mx\x1b[38;5mx", "xxx"),
        ] {
            assert_eq!(coloured(&[from.as_bytes()]), to, "{from:?}");
        }
        let long = format!("\x1b[{}mx", "1;".repeat(1000));
        assert_eq!(coloured(&[long.as_bytes()]), "x");
    }

    #[test]
    fn a_writer_passes_a_log_through() {
        let mut writer = Sanitised::new(Vec::new(), Colours::Keep);
        for byte in "a\x1b[31mä\x1b[2J\r\nb".bytes() {
            writer.write_all(&[byte]).unwrap();
        }
        assert_eq!(writer.finish().unwrap(), "a\x1b[31mä\nb\x1b[0m".as_bytes());
    }

    /// Bytes of which many begin or end sequences.
    fn hostile() -> impl Strategy<Value = Vec<u8>> {
        let one = prop_oneof![
            any::<u8>().prop_map(|byte| vec![byte]),
            prop::sample::select(vec![
                "\x1b", "\x1b[", "\x1b]", "\u{9b}", "31m", "m", ";", "\x07", "\r", "\n",
                "\u{202e}", "ä", "\x1b\\"
            ])
            .prop_map(|text| text.as_bytes().to_vec()),
        ];
        prop::collection::vec(one, 0..60).prop_map(|parts| parts.concat())
    }

    proptest! {
        #[test]
        fn what_comes_out_is_harmless_and_stays_as_it_is(bytes in hostile()) {
            let clean = text(&bytes);
            let harmless = |c: char| matches!(c, '\n' | '\t') || !(c.is_control() || turns(c));
            prop_assert!(clean.chars().all(harmless), "{clean:?}");
            prop_assert_eq!(text(&clean), clean.clone());

            let coloured_once = coloured(&[&bytes]);
            prop_assert_eq!(coloured(&[coloured_once.as_bytes()]), coloured_once.clone());
            prop_assert_eq!(text(&coloured_once), clean, "colours change nothing else");
        }

        #[test]
        fn where_a_piece_ends_does_not_matter(bytes in hostile(), cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..5)) {
            let mut at: Vec<usize> = cuts.iter().map(|cut| cut.index(bytes.len() + 1)).collect();
            at.extend([0, bytes.len()]);
            at.sort_unstable();
            let pieces: Vec<&[u8]> = at.windows(2).map(|cut| &bytes[cut[0]..cut[1]]).collect();
            prop_assert_eq!(coloured(&pieces), coloured(&[&bytes]));
        }
    }
}
