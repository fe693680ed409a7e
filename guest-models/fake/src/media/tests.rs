use super::*;
use belljar_guest::Media;
use belljar_guest::text::{File, Image};
use proptest::prelude::*;

/// Bytes written with spaces and texts in quotation marks.
fn bytes(written: &[&[u8]]) -> Vec<u8> {
    written.concat()
}

fn source(data: Vec<u8>, mime: &str) -> Source {
    let mime = mime.into();
    Source::Inline(Media { mime, data })
}

fn picture(data: &[&[u8]]) -> String {
    let part = Part::Image(Image {
        source: source(bytes(data), "image/png"),
        detail: None,
    });
    Medium::of_part(&part)
        .unwrap()
        .topic(Language::English)
        .text
}

fn sound(data: &[&[u8]]) -> String {
    let part = Part::Audio(source(bytes(data), ""));
    Medium::of_part(&part)
        .unwrap()
        .topic(Language::English)
        .text
}

fn file(name: &str, mime: &str, data: &[&[u8]]) -> String {
    let part = Part::File(File {
        name: Some(name.into()),
        source: source(bytes(data), mime),
    });
    Medium::of_part(&part)
        .unwrap()
        .topic(Language::English)
        .text
}

#[test]
fn pictures_say_how_large_they_are() {
    let png = [
        b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR".as_slice(),
        b"\0\0\x02\x80\0\0\x01\xe0\x08\x02",
    ];
    assert_eq!(picture(&png), "the 640×480 PNG image");
    assert_eq!(picture(&[b"GIF89a\x0a\0\x14\0"]), "the 10×20 GIF image");
    // A segment to pass over, filling, and the frame.
    let jpeg = [
        b"\xff\xd8\xff\xe0\0\x04ab".as_slice(),
        b"\xff\xff\xc2\0\x0b\x08\0\x64\0\xc8\x03",
    ];
    assert_eq!(picture(&jpeg), "the 200×100 JPEG image");
    let webp = |rest: &[u8]| picture(&[b"RIFF\0\0\0\0WEBP", rest]);
    assert_eq!(
        webp(b"VP8 \0\0\0\0abc\x9d\x01\x2a\x40\x01\xf0\0"),
        "the 320×240 WebP image"
    );
    assert_eq!(
        webp(b"VP8X\x0a\0\0\0\0\0\0\0\x3f\x01\0\xef\0\0"),
        "the 320×240 WebP image"
    );
    assert_eq!(
        webp(b"VP8L\0\0\0\0\x2f\x3f\xc1\x3b\0"),
        "the 320×240 WebP image"
    );
    let bmp = [
        b"BM\0\0\0\0\0\0\0\0\x36\0\0\0\x28\0\0\0".as_slice(),
        b"\x05\0\0\0\xf9\xff\xff\xff",
    ];
    assert_eq!(picture(&bmp), "the 5×7 BMP image");
    assert_eq!(picture(&[b"what"]), "the image");
}

#[test]
fn sounds_say_how_long_they_are() {
    // 8 000 samples of two bytes a second, and 40 000 bytes of them.
    let data = [0; 40_000];
    let format = b"fmt \x10\0\0\0\x01\0\x01\0\x40\x1f\0\0\x80\x3e\0\0\x02\0\x10\0";
    let head = b"RIFF\0\0\0\0WAVE".as_slice();
    let wav = |size: &[u8]| sound(&[head, format, b"LIST\x03\0\0\0abc\0", b"data", size, &data]);
    assert_eq!(wav(&40_000_u32.to_le_bytes()), "the 2.5 s WAV recording");
    // As a stream has it.
    assert_eq!(wav(&u32::MAX.to_le_bytes()), "the 2.5 s WAV recording");
    let samples = (44_100_u64 << 44) | (1 << 41) | (15 << 36) | 441_000;
    let flac = [
        b"fLaC\0\0\0\x22\0\0\0\0\0\0\0\0\0\0".as_slice(),
        &samples.to_be_bytes(),
    ];
    assert_eq!(sound(&flac), "the 10 s FLAC recording");
    let page = |samples: u64| bytes(&[b"OggS\0\0", &samples.to_le_bytes(), &[0; 12], &[1, 19]]);
    let opus = [
        page(0).as_slice(),
        b"OpusHead\x01\x02\x38\x01",
        &page(48_000 * 3 + 312),
    ]
    .concat();
    assert_eq!(sound(&[&opus]), "the 3 s Opus recording");
    // 128 000 bits a second.
    let mp3 = [
        b"ID3\x04\0\0\0\0\0\x02ab".as_slice(),
        b"\xff\xfb\x90\x64",
        &[0; 31_996],
    ];
    assert_eq!(sound(&mp3), "the 2 s MP3 recording");
    // With a count of its frames: 1 000 of 1 152 samples.
    let counted = [
        b"\xff\xfb\x90\x64".as_slice(),
        &[0; 32],
        b"Xing\0\0\0\x01\0\0\x03\xe8",
    ];
    assert_eq!(sound(&counted), "the 26.1 s MP3 recording");
}

#[test]
fn files_say_what_they_are_about() {
    let pdf = b"%PDF-1.4\n1 0 obj<</Type /Pages/Kids[3 0 R]/Count 3>>endobj\n\
        3 0 obj<</Type/Page>>endobj\n5 0 obj<</Title (Annual \\(draft\\) report)>>endobj";
    assert_eq!(
        file("a.pdf", "application/pdf", &[pdf]),
        "the PDF “Annual (draft) report” (3 pages)"
    );
    let wide = b"%PDF-1.7\n<</Type/Page/Title<FEFF00C400680065>>>";
    assert_eq!(file("b.pdf", "", &[wide]), "the PDF “Ähe” (1 page)");
    assert_eq!(file("c.pdf", "", &[b"%PDF-1.7\n"]), "the PDF c.pdf");
    assert_eq!(
        file(
            "C:\\papers\\notes.txt",
            "text/plain",
            &[b"# Bell jars\n\nmore"]
        ),
        "the text file “Bell jars”"
    );
    assert_eq!(
        file("d.csv", "text/csv", &[b"a,b\n1,2"]),
        "the CSV file d.csv"
    );
    assert_eq!(file("e.bin", "", &[b"\0\x01\x02\xff"]), "the file e.bin");
}

#[test]
fn what_was_sent_is_said_in_each_language() {
    let media = [
        Medium::Picture {
            format: "PNG",
            sides: Some((640, 480)),
        },
        Medium::Sound {
            format: "WAV",
            length: Some(2_500),
        },
    ];
    assert_eq!(
        sent(&media, Language::English),
        "You have sent the 640×480 PNG image and the 2.5 s WAV recording."
    );
    for language in crate::language::LANGUAGES {
        let text = sent(&media, language);
        assert!(
            text.contains("640×480 PNG") && text.contains("2.5 s WAV"),
            "{text}"
        );
    }
    let many = alloc::vec![media[0].clone(); 9];
    assert!(sent(&many, Language::German).contains("(+5)"));
}

/// Beginnings that lead into each of the readers.
const BEGINNINGS: [&[u8]; 16] = [
    b"",
    b"\x89PNG\r\n\x1a\n",
    b"\xff\xd8\xff",
    b"GIF89a",
    b"RIFF\0\0\0\0WEBPVP8X",
    b"RIFF\0\0\0\0WEBPVP8L",
    b"BM",
    b"RIFF\0\0\0\0WAVE",
    b"RIFF\0\0\0\0WAVEfmt \x10\0\0\0",
    b"fLaC",
    b"OggS",
    b"ID3\x04\0\0\x7f\x7f\x7f\x7f",
    b"\xff\xfb\x90\x64",
    b"%PDF-1.4 /Title (",
    b"%PDF-1.4 /Count 999999999 /Title <",
    b"# ",
];

proptest! {
    #[test]
    fn whatever_bytes_are_sent_are_something(
        beginning in 0..BEGINNINGS.len(),
        rest in proptest::collection::vec(any::<u8>(), 0..400),
        mime in "[a-z]{0,6}/?[a-z0-9;]{0,8}",
        name in ".{0,30}",
    ) {
        let data = [BEGINNINGS[beginning], &rest].concat();
        let parts = [
            Part::Image(Image { source: source(data.clone(), &mime), detail: None }),
            Part::Audio(source(data.clone(), &mime)),
            Part::File(File { name: Some(name), source: source(data, &mime) }),
        ];
        for part in parts {
            let medium = Medium::of_part(&part).unwrap();
            for language in [Language::English, Language::Japanese] {
                prop_assert!(!medium.topic(language).bare().is_empty());
            }
            prop_assert!(medium.facts().len() < 2_000);
        }
    }
}
