//! A few phrases in each language: what a translation is tried with, and the answer to thanks.

use crate::language::{LANGUAGES, Language};
use crate::words::{self, lowered};

/// Phrases in the order of [`LANGUAGES`].
const PHRASES: [[&str; 12]; 14] = [
    [
        "hello",
        "hola",
        "bonjour",
        "hallo",
        "olá",
        "ciao",
        "你好",
        "مرحبا",
        "привет",
        "こんにちは",
        "안녕하세요",
        "नमस्ते",
    ],
    [
        "good morning",
        "buenos días",
        "bonjour",
        "guten Morgen",
        "bom dia",
        "buongiorno",
        "早上好",
        "صباح الخير",
        "доброе утро",
        "おはようございます",
        "좋은 아침입니다",
        "सुप्रभात",
    ],
    [
        "good day",
        "buenos días",
        "bonjour",
        "guten Tag",
        "bom dia",
        "buongiorno",
        "您好",
        "طاب يومك",
        "добрый день",
        "こんにちは",
        "안녕하세요",
        "नमस्कार",
    ],
    [
        "good night",
        "buenas noches",
        "bonne nuit",
        "gute Nacht",
        "boa noite",
        "buonanotte",
        "晚安",
        "تصبح على خير",
        "спокойной ночи",
        "おやすみなさい",
        "안녕히 주무세요",
        "शुभ रात्रि",
    ],
    [
        "goodbye",
        "adiós",
        "au revoir",
        "auf Wiedersehen",
        "adeus",
        "arrivederci",
        "再见",
        "مع السلامة",
        "до свидания",
        "さようなら",
        "안녕히 가세요",
        "अलविदा",
    ],
    [
        "thank you",
        "gracias",
        "merci",
        "danke",
        "obrigado",
        "grazie",
        "谢谢",
        "شكرا",
        "спасибо",
        "ありがとう",
        "감사합니다",
        "धन्यवाद",
    ],
    [
        "please",
        "por favor",
        "s'il vous plaît",
        "bitte",
        "por favor",
        "per favore",
        "请",
        "من فضلك",
        "пожалуйста",
        "お願いします",
        "부탁합니다",
        "कृपया",
    ],
    [
        "i love you",
        "te quiero",
        "je t'aime",
        "ich liebe dich",
        "eu te amo",
        "ti amo",
        "我爱你",
        "أحبك",
        "я тебя люблю",
        "愛してる",
        "사랑해요",
        "मैं तुमसे प्यार करता हूँ",
    ],
    [
        "how are you",
        "¿cómo estás?",
        "comment ça va ?",
        "wie geht es dir?",
        "como vai?",
        "come stai?",
        "你好吗？",
        "كيف حالك؟",
        "как дела?",
        "お元気ですか？",
        "잘 지내세요?",
        "आप कैसे हैं?",
    ],
    [
        "hello world",
        "hola mundo",
        "bonjour le monde",
        "hallo Welt",
        "olá mundo",
        "ciao mondo",
        "你好，世界",
        "مرحبا بالعالم",
        "привет, мир",
        "こんにちは世界",
        "안녕 세상",
        "नमस्ते दुनिया",
    ],
    [
        "yes",
        "sí",
        "oui",
        "ja",
        "sim",
        "sì",
        "是",
        "نعم",
        "да",
        "はい",
        "네",
        "हाँ",
    ],
    [
        "cat",
        "gato",
        "chat",
        "Katze",
        "gato",
        "gatto",
        "猫",
        "قطة",
        "кошка",
        "猫",
        "고양이",
        "बिल्ली",
    ],
    [
        "dog",
        "perro",
        "chien",
        "Hund",
        "cachorro",
        "cane",
        "狗",
        "كلب",
        "собака",
        "犬",
        "개",
        "कुत्ता",
    ],
    [
        "water",
        "agua",
        "eau",
        "Wasser",
        "água",
        "acqua",
        "水",
        "ماء",
        "вода",
        "水",
        "물",
        "पानी",
    ],
];

const WELCOME: [&str; 12] = [
    "You're welcome! Let me know if there is anything else.",
    "¡De nada! Avísame si necesitas algo más.",
    "Avec plaisir ! N'hésitez pas si vous avez d'autres questions.",
    "Gern geschehen! Sag Bescheid, wenn du noch etwas brauchst.",
    "De nada! Avise se precisar de mais alguma coisa.",
    "Prego! Fammi sapere se ti serve altro.",
    "不客气！还有什么需要请告诉我。",
    "على الرحب والسعة! أخبرني إن احتجت إلى شيء آخر.",
    "Пожалуйста! Обращайтесь, если понадобится что-то ещё.",
    "どういたしまして。ほかにもあればお知らせください。",
    "천만에요! 더 필요한 것이 있으면 알려 주세요.",
    "आपका स्वागत है! कुछ और चाहिए तो बताइए।",
];

/// What thanks are answered with.
pub(crate) fn welcome(language: Language) -> &'static str {
    of(&WELCOME, language)
}

/// The phrase of the prompt in another language: the longest that is known, wherever it stands.
pub(crate) fn translated(said: &str, to: Language) -> Option<&'static str> {
    let said = lowered(said);
    let found = PHRASES.iter().flat_map(|phrase| {
        let said = &said;
        let known = phrase.iter().filter(move |words| {
            let words = lowered(words);
            let words = words.trim_matches(['?', '¿', '？', '؟', ' ']);
            if words.is_ascii()
                || words
                    .chars()
                    .all(|letter| words::script(letter) == words::Script::Latin)
            {
                words::find(said, words).is_some()
            } else {
                said.contains(words)
            }
        });
        known.map(move |words| (words.len(), phrase))
    });
    let (_, phrase) = found
        // What is in the other language already is nothing to translate.
        .filter(|(_, phrase)| !said.contains(&lowered(of(phrase, to))))
        .max_by_key(|(length, _)| *length)?;
    Some(of(phrase, to))
}

fn of(texts: &[&'static str; 12], language: Language) -> &'static str {
    let at = LANGUAGES.iter().position(|other| *other == language);
    at.and_then(|at| texts.get(at)).copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn phrases_are_found_in_any_language() {
        for (said, to, expect) in [
            (
                "Translate 'good morning' to French",
                Language::French,
                "bonjour",
            ),
            (
                "Übersetze \"Guten Tag\" ins Englische",
                Language::English,
                "good day",
            ),
            (
                "Translate to Spanish: I love you",
                Language::Spanish,
                "te quiero",
            ),
            (
                "Translate \"Hello world\" into German",
                Language::German,
                "hallo Welt",
            ),
            ("把谢谢翻译成英语", Language::English, "thank you"),
        ] {
            assert_eq!(translated(said, to), Some(expect), "{said}");
        }
        assert_eq!(
            translated("Translate this paragraph", Language::French),
            None
        );
    }
}
