//! What a text may contain that a client sends and a page shows.

use icu_properties::props::{DefaultIgnorableCodePoint, GeneralCategory, WhiteSpace};
use icu_properties::{CodePointMapData, CodePointSetData};

/// Characters that no property tells from visible ones, and that fonts draw as nothing: the braille pattern without dots, the musical
/// null notehead, the Khitan filler.
const DRAWN_BLANK: [char; 3] = ['\u{2800}', '\u{1d159}', '\u{16fe4}'];

/// Whether it is one line of text that leaves what stands beside it on a page as it is: none of its characters controls the line, or
/// overrides, embeds or isolates a direction. Marks of direction that Hebrew and Arabic need, such as U+200F, do none of that.
pub fn is_plain(text: &str) -> bool {
    !text.chars().any(|character| {
        character.is_control()
            || matches!(character, '\u{2028}' | '\u{2029}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    })
}

/// Whether there is something to see in it.
pub fn is_visible(text: &str) -> bool {
    let blank = CodePointSetData::new::<WhiteSpace>();
    let ignorable = CodePointSetData::new::<DefaultIgnorableCodePoint>();
    let category = CodePointMapData::<GeneralCategory>::new();
    text.chars().any(|character| {
        !(blank.contains(character)
            || ignorable.contains(character)
            || category.get(character) == GeneralCategory::Format
            || DRAWN_BLANK.contains(&character))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_can_be_seen() {
        for invisible in [
            "\u{200b}",
            "\u{3164}",
            "\u{2800}",
            "\u{115f}",
            "\u{1160}",
            "\u{ffa0}",
            "\u{ad}",
            "\u{feff}",
            "\u{2060}",
            "\u{34f}",
            "\u{fe0f}",
            "\u{17b4}",
            "\u{180e}",
            "\u{e0020}",
            "\u{1d159}",
            "\u{a0}",
            "\u{3000}",
            "\u{200f}",
            " \u{200b}\u{3164} ",
        ] {
            assert!(!is_visible(invisible), "{invisible:?}");
            assert!(is_visible(&format!("{invisible}a")), "{invisible:?}");
        }
        // What is joined, hyphenated, combined or marked as right-to-left.
        for visible in [
            "👩‍💻",
            "می\u{200c}خواهم",
            "co\u{ad}operate",
            "שלום\u{200f}!",
            "e\u{301}",
            "❤\u{fe0f}",
            "-",
            "\u{e000}",
        ] {
            assert!(is_visible(visible) && is_plain(visible), "{visible:?}");
        }
    }

    #[test]
    fn text_that_leaves_its_line_or_its_direction_is_not_plain() {
        for control in [
            '\u{202a}', '\u{202b}', '\u{202c}', '\u{202d}', '\u{202e}', '\u{2066}', '\u{2067}', '\u{2068}',
            '\u{2069}', '\u{2028}', '\u{2029}', '\u{85}', '\u{7f}',
        ] {
            let text = format!("a{control}b");
            assert!(!is_plain(&text), "{text:?}");
        }
    }
}
