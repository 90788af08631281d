//! The `text` of a JSON answer while it is still being written.

/// An incremental decoder of a JSON answer's `text`, wherever the pieces are cut.
///
/// It gives out the value of the first top-level key `text` of the first object that has one, whether the object stands alone,
/// in a code fence or after prose. Plain prose, other keys and nested ones give nothing. The finished answer decides
/// ([`super::utterance`]): what was given out is provisional.
#[derive(Debug, Default)]
pub struct TextStream {
    text: String,
    state: State,
    /// In prose: whether the last character but white space opens a list.
    in_list: bool,
}

#[derive(Debug, Default)]
enum State {
    /// Before an object.
    #[default]
    Prose,
    /// In an object, before a key.
    BeforeKey,
    /// In a key.
    Key(Unescape, String),
    /// After a key, before the colon; whether the key is `text`.
    AfterKey(bool),
    /// After the colon.
    BeforeValue(bool),
    /// In the wanted text.
    Text(Unescape),
    /// In another value that is a string; whether the next character is escaped.
    SkipString(bool),
    /// In a number or word.
    SkipWord,
    /// In a list or object, so many levels deep.
    SkipNested { depth: usize, string: Option<Escaped> },
    /// After a value.
    AfterValue,
    /// Nothing more is given out.
    Done,
}

/// Whether the next character of a skipped string is escaped.
type Escaped = bool;

/// The longest key that is told from `text`; a longer one is none.
const KEY_BYTES: usize = 8;

impl TextStream {
    /// At the answer's start.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes the next piece of the answer; returns what it adds to the text.
    pub fn feed(&mut self, piece: &str) -> String {
        let before = self.text.len();
        for c in piece.chars() {
            self.step(c);
        }
        self.text.get(before..).unwrap_or_default().to_owned()
    }

    /// The text so far.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    fn step(&mut self, c: char) {
        self.state = match std::mem::take(&mut self.state) {
            State::Prose => self.prose(c),
            State::BeforeKey => match c {
                '"' => State::Key(Unescape::default(), String::new()),
                c if c.is_whitespace() => State::BeforeKey,
                c => self.prose(c),
            },
            State::Key(unescape, key) => self.key(unescape, key, c),
            State::AfterKey(wanted) => match c {
                ':' => State::BeforeValue(wanted),
                c if c.is_whitespace() => State::AfterKey(wanted),
                c => self.prose(c),
            },
            State::BeforeValue(wanted) => self.before_value(wanted, c),
            State::Text(mut unescape) => match unescape.step(c) {
                Unescaped::Char(c) => {
                    self.text.push(c);
                    State::Text(unescape)
                }
                Unescaped::More => State::Text(unescape),
                Unescaped::End | Unescaped::Broken => State::Done,
            },
            State::SkipString(true) => State::SkipString(false),
            State::SkipString(false) => match c {
                '"' => State::AfterValue,
                c => State::SkipString(c == '\\'),
            },
            State::SkipNested { depth, string } => skip_nested(depth, string, c),
            State::SkipWord => match c {
                c if c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.') => State::SkipWord,
                c => self.after_value(c),
            },
            State::AfterValue => self.after_value(c),
            State::Done => State::Done,
        };
    }

    fn prose(&mut self, c: char) -> State {
        let in_list = self.in_list;
        self.in_list = c == '[' || (in_list && c.is_whitespace());
        match c {
            // The objects of a list are no answer.
            '{' if in_list => State::Done,
            '{' => State::BeforeKey,
            _ => State::Prose,
        }
    }

    fn key(&mut self, mut unescape: Unescape, mut key: String, c: char) -> State {
        match unescape.step(c) {
            Unescaped::Char(c) => {
                if key.len() < KEY_BYTES {
                    key.push(c);
                }
                State::Key(unescape, key)
            }
            Unescaped::More => State::Key(unescape, key),
            Unescaped::End => State::AfterKey(key == "text"),
            Unescaped::Broken => self.prose(c),
        }
    }

    fn before_value(&mut self, wanted: bool, c: char) -> State {
        match c {
            c if c.is_whitespace() => State::BeforeValue(wanted),
            '"' if wanted => State::Text(Unescape::default()),
            // The text is no string: the answer has none.
            _ if wanted => State::Done,
            '"' => State::SkipString(false),
            '{' | '[' => State::SkipNested { depth: 1, string: None },
            c if c.is_ascii_alphanumeric() || c == '-' => State::SkipWord,
            c => self.prose(c),
        }
    }

    fn after_value(&mut self, c: char) -> State {
        match c {
            ',' => State::BeforeKey,
            '}' => State::Prose,
            c if c.is_whitespace() => State::AfterValue,
            c => self.prose(c),
        }
    }
}

fn skip_nested(depth: usize, string: Option<Escaped>, c: char) -> State {
    match (string, c) {
        (Some(true), _) => State::SkipNested { depth, string: Some(false) },
        (Some(false), '"') => State::SkipNested { depth, string: None },
        (Some(false), c) => State::SkipNested { depth, string: Some(c == '\\') },
        (None, '"') => State::SkipNested { depth, string: Some(false) },
        (None, '{' | '[') => State::SkipNested { depth: depth + 1, string: None },
        (None, '}' | ']') if depth == 1 => State::AfterValue,
        (None, '}' | ']') => State::SkipNested { depth: depth - 1, string: None },
        (None, _) => State::SkipNested { depth, string: None },
    }
}

/// Reads a JSON string after its opening quote, a character at a time.
#[derive(Debug, Default)]
struct Unescape {
    escape: Escape,
    /// The first half of a surrogate pair.
    high: Option<u32>,
}

#[derive(Debug, Default)]
enum Escape {
    #[default]
    None,
    /// After the backslash.
    Begun,
    /// So many hexadecimal digits of `\uXXXX` are still to come.
    Hex { left: u8, value: u32 },
}

enum Unescaped {
    Char(char),
    More,
    End,
    Broken,
}

impl Unescape {
    fn step(&mut self, c: char) -> Unescaped {
        match std::mem::take(&mut self.escape) {
            Escape::None => match c {
                '\\' => {
                    self.escape = Escape::Begun;
                    Unescaped::More
                }
                _ if self.high.is_some() => Unescaped::Broken,
                '"' => Unescaped::End,
                c => Unescaped::Char(c),
            },
            Escape::Begun => self.escaped(c),
            Escape::Hex { left, value } => match c.to_digit(16) {
                None => Unescaped::Broken,
                Some(digit) if left > 1 => {
                    self.escape = Escape::Hex { left: left - 1, value: value * 16 + digit };
                    Unescaped::More
                }
                Some(digit) => self.code_unit(value * 16 + digit),
            },
        }
    }

    fn escaped(&mut self, c: char) -> Unescaped {
        if c == 'u' {
            self.escape = Escape::Hex { left: 4, value: 0 };
            return Unescaped::More;
        }
        if self.high.is_some() {
            return Unescaped::Broken;
        }
        match c {
            '"' | '\\' | '/' => Unescaped::Char(c),
            'b' => Unescaped::Char('\u{8}'),
            'f' => Unescaped::Char('\u{c}'),
            'n' => Unescaped::Char('\n'),
            'r' => Unescaped::Char('\r'),
            't' => Unescaped::Char('\t'),
            _ => Unescaped::Broken,
        }
    }

    fn code_unit(&mut self, unit: u32) -> Unescaped {
        let code = match (self.high.take(), unit) {
            (None, 0xd800..=0xdbff) => {
                self.high = Some(unit);
                return Unescaped::More;
            }
            (Some(high), 0xdc00..=0xdfff) => 0x1_0000 + ((high - 0xd800) << 10) + (unit - 0xdc00),
            (Some(_), _) => return Unescaped::Broken,
            (None, unit) => unit,
        };
        char::from_u32(code).map_or(Unescaped::Broken, Unescaped::Char)
    }
}
