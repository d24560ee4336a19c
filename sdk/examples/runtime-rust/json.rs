//! JSON from strangers: a reader with bounded depth, and quoting. No more than a runtime needs.

use std::collections::BTreeMap;

#[derive(Debug, PartialEq)]
pub enum Json {
    Null,
    Bool(bool),
    Number(f64),
    Text(String),
    List(Vec<Json>),
    Object(BTreeMap<String, Json>),
}

const MAX_DEPTH: usize = 32;

struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

type Read<T> = Result<T, String>;

/// The document; the error says what is malformed, and where.
pub fn parse(bytes: &[u8]) -> Read<Json> {
    // Checked as a whole, so that every piece between two ASCII characters is a string.
    std::str::from_utf8(bytes).map_err(|_| "it is not valid UTF-8".to_string())?;
    let mut reader = Reader { bytes, at: 0 };
    let value = reader.value(0)?;
    reader.blanks();
    if reader.at != bytes.len() {
        return Err(reader.wrong("something follows the document"));
    }
    Ok(value)
}

impl<'a> Reader<'a> {
    fn wrong(&self, what: &str) -> String {
        format!("{} at byte {}", what, self.at)
    }

    fn peek(&self) -> u8 {
        self.bytes.get(self.at).copied().unwrap_or(0)
    }

    fn blanks(&mut self) {
        while matches!(self.peek(), b' ' | b'\t' | b'\n' | b'\r') {
            self.at += 1;
        }
    }

    fn take(&mut self, wanted: u8) -> bool {
        self.blanks();
        let found = self.at < self.bytes.len() && self.peek() == wanted;
        self.at += found as usize;
        found
    }

    fn word(&mut self, word: &str, value: Json) -> Read<Json> {
        if !self.bytes[self.at..].starts_with(word.as_bytes()) {
            return Err(self.wrong("an unknown word"));
        }
        self.at += word.len();
        Ok(value)
    }

    fn value(&mut self, depth: usize) -> Read<Json> {
        if depth > MAX_DEPTH {
            return Err(self.wrong("too deeply nested"));
        }
        self.blanks();
        match self.peek() {
            b'{' => self.object(depth),
            b'[' => self.list(depth),
            b'"' => self.text().map(Json::Text),
            b't' => self.word("true", Json::Bool(true)),
            b'f' => self.word("false", Json::Bool(false)),
            b'n' => self.word("null", Json::Null),
            _ => self.number(),
        }
    }

    fn object(&mut self, depth: usize) -> Read<Json> {
        let mut members = BTreeMap::new();
        self.at += 1;
        if self.take(b'}') {
            return Ok(Json::Object(members));
        }
        loop {
            self.blanks();
            let key = self.text()?;
            if !self.take(b':') {
                return Err(self.wrong("a colon is missing"));
            }
            members.insert(key, self.value(depth + 1)?);
            if self.take(b'}') {
                return Ok(Json::Object(members));
            }
            if !self.take(b',') {
                return Err(self.wrong("a comma is missing"));
            }
        }
    }

    fn list(&mut self, depth: usize) -> Read<Json> {
        let mut items = Vec::new();
        self.at += 1;
        if self.take(b']') {
            return Ok(Json::List(items));
        }
        loop {
            items.push(self.value(depth + 1)?);
            if self.take(b']') {
                return Ok(Json::List(items));
            }
            if !self.take(b',') {
                return Err(self.wrong("a comma is missing"));
            }
        }
    }

    fn text(&mut self) -> Read<String> {
        if self.peek() != b'"' {
            return Err(self.wrong("a text is missing"));
        }
        self.at += 1;
        let mut text = Vec::new();
        loop {
            match self.peek() {
                b'"' => {
                    self.at += 1;
                    return String::from_utf8(text).map_err(|_| self.wrong("not UTF-8"));
                }
                b'\\' => {
                    self.at += 1;
                    let character = self.escape()?;
                    text.extend_from_slice(character.to_string().as_bytes());
                }
                byte if byte < 0x20 => return Err(self.wrong("a control character or the end in a text")),
                byte => {
                    self.at += 1;
                    text.push(byte);
                }
            }
        }
    }

    fn escape(&mut self) -> Read<char> {
        let kind = self.peek();
        self.at += 1;
        let plain = match kind {
            b'"' => '"',
            b'\\' => '\\',
            b'/' => '/',
            b'b' => '\u{8}',
            b'f' => '\u{c}',
            b'n' => '\n',
            b'r' => '\r',
            b't' => '\t',
            b'u' => return self.code_point(),
            _ => return Err(self.wrong("an unknown escape")),
        };
        Ok(plain)
    }

    fn code_point(&mut self) -> Read<char> {
        let mut code = self.hex()?;
        if (0xD800..0xDC00).contains(&code) {
            if !self.bytes[self.at..].starts_with(b"\\u") {
                return Err(self.wrong("half of a surrogate pair"));
            }
            self.at += 2;
            let low = self.hex()?;
            if !(0xDC00..0xE000).contains(&low) {
                return Err(self.wrong("half of a surrogate pair"));
            }
            code = 0x10000 + ((code - 0xD800) << 10) + (low - 0xDC00);
        }
        // NUL would end a text early for whoever reads it in C.
        char::from_u32(code).filter(|c| *c != '\0').ok_or_else(|| self.wrong("no character"))
    }

    fn hex(&mut self) -> Read<u32> {
        let digits = self.bytes.get(self.at..self.at + 4).ok_or_else(|| self.wrong("too few digits"))?;
        self.at += 4;
        let mut code = 0;
        for digit in digits {
            let value = (*digit as char).to_digit(16).ok_or_else(|| self.wrong("no hexadecimal digit"))?;
            code = code * 16 + value;
        }
        Ok(code)
    }

    fn digits(&mut self) -> Read<()> {
        let first = self.at;
        while self.peek().is_ascii_digit() {
            self.at += 1;
        }
        if self.at == first {
            return Err(self.wrong("a value is missing"));
        }
        Ok(())
    }

    fn number(&mut self) -> Read<Json> {
        let first = self.at;
        self.at += (self.peek() == b'-') as usize;
        if self.peek() == b'0' {
            self.at += 1;
        } else {
            self.digits()?;
        }
        if self.peek() == b'.' {
            self.at += 1;
            self.digits()?;
        }
        if matches!(self.peek(), b'e' | b'E') {
            self.at += 1;
            self.at += matches!(self.peek(), b'+' | b'-') as usize;
            self.digits()?;
        }
        let text = std::str::from_utf8(&self.bytes[first..self.at]).unwrap_or("");
        text.parse().map(Json::Number).map_err(|_| self.wrong("no number"))
    }
}

/// The text as a JSON string, with its quotes.
pub fn quote(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            c if (c as u32) < 0x20 => out.push_str(&format!("\\u{:04x}", c as u32)),
            c => out.push(c),
        }
    }
    out.push('"');
    out
}
