//! As much of WebAssembly's binary format as it takes to look at functions and to give them names.

use anyhow::{Context as _, Result, bail};

/// The functions of a module.
pub(super) struct Functions<'m> {
    /// How many it imports: they are numbered before its own.
    imported: usize,
    /// The code of its own.
    pub(super) code: Vec<&'m [u8]>,
}

/// Numbers of sections.
const CUSTOM: u8 = 0;
const IMPORTS: u8 = 2;
const CODE: u8 = 10;
/// In the section of names, those of functions.
const OF_FUNCTIONS: u8 = 1;
/// What a module begins with, its version among it.
const HEAD: &[u8] = b"\0asm\x01\0\0\0";

impl<'m> Functions<'m> {
    /// # Errors
    ///
    /// When this is no module, or imports what is not known here.
    pub(super) fn of(module: &'m [u8]) -> Result<Self> {
        let mut sections = Reader(module.strip_prefix(HEAD).context("this is no WebAssembly")?);
        let mut functions = Self { imported: 0, code: Vec::new() };
        while !sections.0.is_empty() {
            let (number, mut section) = (sections.byte()?, Reader(sections.counted()?));
            match number {
                IMPORTS => functions.imported = section.imported()?,
                CODE => functions.code = section.list(Reader::counted)?,
                _ => {}
            }
        }
        Ok(functions)
    }

    /// The section that gives them names, to be put behind the module: this one to the first of its own, and so on.
    pub(super) fn named(&self, names: &[String]) -> Vec<u8> {
        let mut map = number(names.len());
        for (at, name) in names.iter().enumerate() {
            map.extend(number(self.imported + at));
            map.extend(counted(name.as_bytes()));
        }
        let mut content = counted(b"name");
        content.push(OF_FUNCTIONS);
        content.extend(counted(&map));
        let mut section = vec![CUSTOM];
        section.extend(counted(&content));
        section
    }
}

/// What is left to read.
struct Reader<'m>(&'m [u8]);

impl<'m> Reader<'m> {
    fn byte(&mut self) -> Result<u8> {
        let (first, rest) = self.0.split_first().context("the module ends too early")?;
        self.0 = rest;
        Ok(*first)
    }

    /// In LEB128.
    fn number(&mut self) -> Result<usize> {
        let mut number = 0;
        for shift in (0..32).step_by(7) {
            let byte = self.byte()?;
            number |= usize::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Ok(number);
            }
        }
        bail!("the module has a number that is too large")
    }

    /// Bytes, their number before them.
    fn counted(&mut self) -> Result<&'m [u8]> {
        let count = self.number()?;
        let (these, rest) = self.0.split_at_checked(count).context("the module ends too early")?;
        self.0 = rest;
        Ok(these)
    }

    fn list<T>(&mut self, read: impl Fn(&mut Self) -> Result<T>) -> Result<Vec<T>> {
        (0..self.number()?).map(|_| read(self)).collect()
    }

    /// How many functions this section of imports has.
    fn imported(&mut self) -> Result<usize> {
        Ok(self.list(Self::is_function)?.into_iter().filter(|is_function| *is_function).count())
    }

    /// Whether an import is a function: read as a whole, whatever it is.
    fn is_function(&mut self) -> Result<bool> {
        let (_, _, kind) = (self.counted()?, self.counted()?, self.byte()?);
        match kind {
            0 => self.number().map(drop)?,
            1 => {
                self.byte()?;
                self.limits()?;
            }
            2 => self.limits()?,
            3 => {
                self.byte()?;
                self.byte()?;
            }
            4 => {
                self.byte()?;
                self.number()?;
            }
            _ => bail!("the module imports something of an unknown kind ({kind})"),
        }
        Ok(kind == 0)
    }

    fn limits(&mut self) -> Result<()> {
        let has_most = self.byte()? & 1 == 1;
        self.number()?;
        if has_most {
            self.number()?;
        }
        Ok(())
    }
}

fn counted(bytes: &[u8]) -> Vec<u8> {
    [number(bytes.len()).as_slice(), bytes].concat()
}

/// In LEB128.
fn number(mut value: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    loop {
        let low = (value & 0x7f) as u8;
        value >>= 7;
        if value == 0 {
            bytes.push(low);
            return bytes;
        }
        bytes.push(low | 0x80);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn functions_are_found_behind_those_that_are_imported() {
        let imports = [
            b"\x05".as_slice(),
            b"\x01m\x01f\0\0",
            b"\x01m\x01t\x01\x70\x01\x01\x02",
            b"\x01m\x01m\x02\0\x01",
            b"\x01m\x01g\x03\x7f\0",
            b"\x01m\x01e\x04\0\0",
        ]
        .concat();
        let sections = [(IMPORTS, imports), (CODE, b"\x02\x02\0\x0b\x03\0\x01\x0b".to_vec())];
        let sections = sections.iter().flat_map(|(number, content)| [vec![*number], counted(content)].concat());
        let module: Vec<u8> = HEAD.iter().copied().chain(sections).collect();
        let functions = Functions::of(&module).unwrap();
        assert_eq!((functions.imported, functions.code.as_slice()), (1, [b"\0\x0b".as_slice(), b"\0\x01\x0b"].as_slice()));
        assert_eq!(functions.named(&["b".to_owned(), "a".to_owned()]), b"\0\x0e\x04name\x01\x07\x02\x01\x01b\x02\x01a");
        assert!(Functions::of(module.get(..module.len() - 1).unwrap()).is_err());
    }

    #[test]
    fn numbers_are_read_as_they_are_written() {
        for value in [0, 1, 127, 128, 300, 1 << 20, u32::MAX as usize] {
            assert_eq!(Reader(&number(value)).number().unwrap(), value);
        }
        assert!(Reader(&[0xff; 6]).number().is_err());
    }
}
