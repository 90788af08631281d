//! The language of what the author left out.

use cota_core::bot::Language;

/// Latin letters that say as much as one Chinese character.
const LETTERS_PER_CHARACTER: usize = 3;

/// The language that dominates some texts.
pub(crate) fn of<'t>(texts: impl Iterator<Item = &'t str>) -> Language {
    let (mut chinese, mut latin) = (0, 0);
    for c in texts.flat_map(str::chars) {
        if matches!(c, '\u{3400}'..='\u{9FFF}' | '\u{F900}'..='\u{FAFF}' | '\u{20000}'..='\u{3FFFD}') {
            chinese += LETTERS_PER_CHARACTER;
        } else if c.is_alphabetic() {
            latin += 1;
        }
    }
    if chinese > latin { Language::Chinese } else { Language::English }
}

/// What is said when nothing else can be.
pub(crate) fn fallback(language: Language) -> &'static str {
    match language {
        Language::English => "Sorry, that did not work just now. Could you say it again, perhaps in other words?",
        Language::Chinese => "抱歉，刚才没有处理成功。请您再说一遍，或者换一种说法。",
    }
}
