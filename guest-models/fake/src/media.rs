//! What pictures, sounds and files are, as far as their first bytes say: nothing is decoded, and
//! every length in them is taken for a claim.

mod files;
mod pictures;
mod sounds;

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use belljar_guest::Source;
use belljar_guest::text::{Message, Part};

use crate::json::write_number;
use crate::language::Language;
use crate::reading::Topic;
use crate::words::{is_in, lowered};

/// How many are named; the others are counted.
const NAMED_MAX: usize = 4;

/// A part of a message that is no text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Medium {
    Picture {
        /// Such as `PNG`, or empty where nobody knows.
        format: &'static str,
        sides: Option<(u32, u32)>,
    },
    Sound {
        format: &'static str,
        /// In milliseconds.
        length: Option<u64>,
    },
    File {
        /// What kind of file, such as `PDF`.
        format: &'static str,
        name: String,
        title: String,
        pages: Option<u32>,
    },
}

impl Medium {
    /// What a part is; none of a text.
    pub(crate) fn of_part(part: &Part) -> Option<Self> {
        Some(match part {
            Part::Text(_) | Part::Refusal(_) => return None,
            Part::Image(image) => Self::picture(inline(&image.source).0),
            Part::Audio(source) => {
                let (bytes, mime) = inline(source);
                Self::sound(bytes, mime)
            }
            Part::File(file) => {
                let (bytes, mime) = inline(&file.source);
                let name = file.name.as_deref().unwrap_or_default();
                Self::file(bytes, mime, name)
            }
        })
    }

    fn picture(bytes: &[u8]) -> Self {
        let (format, sides) = pictures::read(bytes);
        Self::Picture { format, sides }
    }

    fn sound(bytes: &[u8], mime: &str) -> Self {
        let (format, length) = sounds::read(bytes, mime);
        Self::Sound { format, length }
    }

    /// A file, which may be a picture or a sound as well.
    fn file(bytes: &[u8], mime: &str, name: &str) -> Self {
        let picture = Self::picture(bytes);
        if matches!(&picture, Self::Picture { format, .. } if !format.is_empty()) {
            return picture;
        }
        let sound = Self::sound(bytes, "");
        if matches!(&sound, Self::Sound { format, .. } if !format.is_empty()) {
            return sound;
        }
        let file = files::read(bytes, mime);
        Self::File {
            format: file.format,
            // Names come from a caller's disk: what stands before the last slash is not said.
            name: name.rsplit(['/', '\\']).next().unwrap_or(name).into(),
            title: file.title,
            pages: file.pages,
        }
    }

    /// What a message has besides its texts.
    pub(crate) fn of_message(message: &Message) -> Vec<Self> {
        message.content.iter().filter_map(Self::of_part).collect()
    }

    /// What it is called in an answer, as a subject of it.
    pub(crate) fn topic(&self, language: Language) -> Topic {
        let is_english = language == Language::English;
        let (article, bare) = match self {
            Self::Picture { format, sides } => {
                let sides = sides.map(|(width, height)| format!("{width}×{height}"));
                let kind = if is_english { "image" } else { "" };
                ("the", joined(&[&sides.unwrap_or_default(), format, kind]))
            }
            Self::Sound { format, length } => {
                let length = length.map(seconds).unwrap_or_default();
                let kind = if is_english { "recording" } else { "" };
                ("the", joined(&[&length, format, kind]))
            }
            Self::File {
                format,
                name,
                title,
                pages,
            } => {
                let called = if title.is_empty() { name } else { title };
                let pages = pages.map(|pages| match (pages, is_english) {
                    (1, true) => "1 page".into(),
                    (_, true) => format!("{pages} pages"),
                    (_, false) => format!("{pages} p."),
                });
                let pages = pages.map(|pages| format!("({pages})"));
                let file = if is_english { "file" } else { "" };
                let quoted = if called.is_empty() {
                    String::new()
                } else if is_english && !title.is_empty() {
                    format!("“{called}”")
                } else {
                    called.clone()
                };
                let kind = if *format == "PDF" { "" } else { file };
                (
                    "the",
                    joined(&[format, kind, &quoted, &pages.unwrap_or_default()]),
                )
            }
        };
        Topic::new(if is_english { article } else { "" }, &bare, None)
    }

    /// What a structured answer can take from it: each number with what it is of.
    pub(crate) fn facts(&self) -> String {
        match self {
            Self::Picture { format, sides } => {
                let (width, height) = sides.unwrap_or_default();
                format!("{width} width, {height} height. Format: {format}.")
            }
            Self::Sound { format, length } => {
                let length = length.unwrap_or_default();
                let mut text = String::new();
                write_number(&mut text, length as f64 / 1000.0);
                format!("{text} seconds duration. Format: {format}.")
            }
            Self::File {
                format,
                name,
                title,
                pages,
            } => {
                let mut text = format!("Format: {format}.");
                if let Some(pages) = pages {
                    text.push_str(&format!(" {pages} pages."));
                }
                if !title.is_empty() {
                    text.push_str(&format!(" The title is \"{title}\"."));
                }
                if !name.is_empty() {
                    text.push_str(&format!(" The file is {name}."));
                }
                text
            }
        }
    }
}

/// Whether a subject is no more than a word for what has been sent.
pub(crate) fn is_named_by(topic: &Topic) -> bool {
    const WORDS: &str = "image images picture pictures photo photos screenshot attachment attachments audio recording recordings sound clip file files document documents pdf bild bilder foto fotos datei aufnahme dokument imagen imágenes archivo documento fichier fichiers enregistrement imagem arquivo immagine 图片 图像 照片 文件 音频 录音 画像 写真 ファイル 音声 이미지 사진 파일 картинка картинке изображение изображении фото файл файле файла الصورة الملف التسجيل चित्र तस्वीर फ़ाइल छवि";
    is_in(WORDS, &lowered(topic.bare()))
}

/// A sentence that says what has been sent.
pub(crate) fn sent(media: &[Medium], language: Language) -> String {
    let [before, after] = match language {
        Language::English => ["You have sent ", "."],
        Language::Spanish => ["Has enviado ", "."],
        Language::French => ["Vous avez envoyé ", "."],
        Language::German => ["Du hast ", " geschickt."],
        Language::Portuguese => ["Você enviou ", "."],
        Language::Italian => ["Hai inviato ", "."],
        Language::Chinese => ["你发送了", "。"],
        Language::Arabic => ["لقد أرسلت ", "."],
        Language::Russian => ["Вы прислали ", "."],
        Language::Japanese => ["受け取ったもの：", "。"],
        Language::Korean => ["보내신 파일: ", "."],
        Language::Hindi => ["आपने ", " भेजा है।"],
    };
    let named: Vec<String> = media
        .iter()
        .take(NAMED_MAX)
        .map(|medium| medium.topic(language).text)
        .collect();
    let mut list = String::new();
    let is_all = named.len() == media.len();
    for (at, name) in named.iter().enumerate() {
        let is_last = at + 1 == named.len() && is_all;
        list.push_str(match (at, is_last, language) {
            (0, ..) => "",
            (_, true, Language::English) if at == 1 => " and ",
            (_, true, Language::English) => ", and ",
            (_, _, Language::Chinese | Language::Japanese) => "、",
            _ => ", ",
        });
        list.push_str(name);
    }
    if !is_all {
        list.push_str(&format!(" (+{})", media.len() - named.len()));
    }
    [before, &list, after].concat()
}

/// The parts that are not empty, with spaces between them.
fn joined(parts: &[&str]) -> String {
    let mut out = String::new();
    for part in parts.iter().filter(|part| !part.is_empty()) {
        if !out.is_empty() {
            out.push(' ');
        }
        out.push_str(part);
    }
    if out.is_empty() { "file".into() } else { out }
}

fn seconds(milliseconds: u64) -> String {
    let mut text = String::new();
    // To a tenth of a second.
    let tenths = milliseconds.saturating_add(50) / 100;
    write_number(&mut text, tenths as f64 / 10.0);
    text.push_str(" s");
    text
}

/// The bytes of a source and their media type; of an address none.
fn inline(source: &Source) -> (&[u8], &str) {
    match source {
        Source::Inline(media) => (&media.data, &media.mime),
        Source::Url(_) => (&[], ""),
    }
}

/// Numbers at places of a file that may be shorter.
trait Bytes {
    fn array<const COUNT: usize>(&self, at: usize) -> Option<[u8; COUNT]>;

    fn be16(&self, at: usize) -> Option<u32> {
        self.array(at).map(|bytes| u16::from_be_bytes(bytes).into())
    }

    fn le16(&self, at: usize) -> Option<u32> {
        self.array(at).map(|bytes| u16::from_le_bytes(bytes).into())
    }

    fn be32(&self, at: usize) -> Option<u32> {
        self.array(at).map(u32::from_be_bytes)
    }

    fn le32(&self, at: usize) -> Option<u32> {
        self.array(at).map(u32::from_le_bytes)
    }
}

impl Bytes for [u8] {
    fn array<const COUNT: usize>(&self, at: usize) -> Option<[u8; COUNT]> {
        self.get(at..)?.first_chunk().copied()
    }
}

#[cfg(test)]
mod tests;
