use super::*;
use std::string::ToString;

fn read(text: &str) -> Reading {
    Reading::of_text(text)
}

#[track_caller]
fn language(text: &str, expect: Language) {
    assert_eq!(read(text).language, expect, "{text}");
}

#[track_caller]
fn topics(text: &str, expect: &[&str]) {
    let topics: Vec<String> = read(text)
        .topics
        .iter()
        .map(|topic| topic.text.to_string())
        .collect();
    assert_eq!(topics, expect, "{text}");
}

#[track_caller]
fn form(text: &str, expect: Form) {
    assert_eq!(read(text).wishes.form, expect, "{text}");
}

#[track_caller]
fn exact(text: &str, expect: &str) {
    form(text, Form::Exact(expect.into()));
}

#[track_caller]
fn length(text: &str, expect: Length) {
    assert_eq!(read(text).wishes.length, expect, "{text}");
}

#[test]
fn languages_are_told_apart() {
    language("Tell me about bell jars.", Language::English);
    language("hi", Language::English);
    language("", Language::English);
    language("¿Qué es la fotosíntesis?", Language::Spanish);
    language("Explica la gravedad", Language::Spanish);
    language("Explique-moi la photosynthèse", Language::French);
    language("Qu'est-ce que la gravité ?", Language::French);
    language("Erkläre mir die Photosynthese.", Language::German);
    language("Was ist ein Leuchtturm?", Language::German);
    language("O que é fotossíntese?", Language::Portuguese);
    language("Fale sobre a gravidade", Language::Portuguese);
    language("Che cos'è la fotosintesi?", Language::Italian);
    language("Parlami della gravità", Language::Italian);
    language("什么是光合作用？", Language::Chinese);
    language("光合成とは何ですか？", Language::Japanese);
    language("광합성이 무엇인가요?", Language::Korean);
    language("ما هو التمثيل الضوئي؟", Language::Arabic);
    language("प्रकाश संश्लेषण क्या है?", Language::Hindi);
    language("Что такое фотосинтез?", Language::Russian);
    language("What does 你好 mean?", Language::English);
    language(
        "Reply in the same language: 今天天气怎么样？",
        Language::Chinese,
    );
    language(
        "Reply in the same language: كيف حالك اليوم؟",
        Language::Arabic,
    );
    language(
        "Answer in the same language as the question. Où est la gare la plus proche ?",
        Language::French,
    );
    language("用Python写一个函数", Language::Chinese);
    // Asked for by name.
    language("Answer in French: what is gravity?", Language::French);
    language("Translate 'good morning' to German", Language::German);
    language("Explain gravity in Japanese", Language::Japanese);
    language("Tell me about French cheese", Language::English);
    language("用英语解释光合作用", Language::English);
}

#[test]
fn topics_are_phrases_of_the_prompt() {
    topics("Tell me about bell jars.", &["bell jars"]);
    topics("What is the capital of France?", &["France"]);
    topics("What is a lighthouse?", &["a lighthouse"]);
    topics("Why are beacons bright?", &["beacons"]);
    topics("Why is the sky blue?", &["the sky"]);
    topics("How does photosynthesis work?", &["photosynthesis"]);
    topics("How do airplanes fly?", &["airplanes"]);
    topics(
        "Explain quantum computing in simple terms",
        &["quantum computing"],
    );
    topics("Write a poem about the sea", &["the sea"]);
    topics("Three reasons to visit Lisbon", &["Lisbon"]);
    topics(
        "What is my favourite colour of lighthouse?",
        &["your favourite colour of lighthouse"],
    );
    topics("How do I sort a list in Python?", &["a list in Python"]);
    assert_eq!(
        read("How do I bake sourdough bread?").topics[0]
            .deed
            .as_deref(),
        Some("bake sourdough bread")
    );
    topics(
        "¿Cuál es la historia de los faros?",
        &["historia de los faros"],
    );
    topics(
        "Erkläre mir die Geschichte der Leuchttürme.",
        &["Leuchttürme"],
    );
    topics("Qu'est-ce que la tour Eiffel ?", &["tour Eiffel"]);
    topics("Расскажи о маяках", &["маяках"]);
    topics("请介绍一下灯塔的历史", &["灯塔", "历史"]);
    topics("什么是光合作用？", &["光合作用"]);
    topics("用三句话介绍北京", &["北京"]);
    topics("광합성이 무엇인가요?", &["광합성"]);
    topics("灯台について教えてください", &["灯台"]);
    topics("등대에 대해 설명해줘", &["등대"]);
    topics("ما هو التمثيل الضوئي؟", &["التمثيل الضوئي"]);
    topics("प्रकाश संश्लेषण क्या है?", &["प्रकाश संश्लेषण"]);
    topics("hi", &[]);
    topics("2 + 2", &[]);
}

#[test]
fn what_is_to_be_said_exactly_is_found() {
    exact("Reply with exactly: pong", "pong");
    exact("Reply with exactly PONG.", "PONG");
    exact("Respond with exactly the word hello", "hello");
    exact("Say 'hello world' and nothing else", "hello world");
    exact("Say hello world and nothing else.", "hello world");
    exact("Please respond with only the text \"ABC-123\".", "ABC-123");
    exact("Reply with just OK", "OK");
    exact("Output only: {\"a\": 1}", "{\"a\": 1}");
    exact("Repeat after me: The sea is blue.", "The sea is blue.");
    exact("Say this is a test", "This is a test.");
    exact(
        "Reply exactly with the following text: Hello, world!",
        "Hello, world!",
    );
    exact("Antworte genau mit dem Wort Ja.", "Ja");
    exact("Antworte nur mit „Hallo Welt“.", "Hallo Welt");
    exact("Responde solo con la palabra hola", "hola");
    exact("Réponds uniquement par « bonjour »", " bonjour ");
    exact("Rispondi solo con ciao", "ciao");
    exact("Responda apenas com sim", "sim");
    exact("Ответь только словом привет", "привет");
    exact("请只回复“你好”", "你好");
    exact("只回复：好的", "好的");
    exact("「はい」とだけ答えてください", "はい");
    exact("\"네\"라고만 답해줘", "네");
    exact("قل فقط مرحبا", "مرحبا");
    exact("केवल नमस्ते लिखें", "नमस्ते");
    for text in [
        "Say something.",
        "Answer with exactly three sentences about the sea",
        "Reply with only the number",
        "Respond only with JSON",
        "Answer in exactly one word",
        "What exactly is a lighthouse?",
        "Only three colours exist. Is that right?",
        "Answer only in French",
        "只回答一个词",
    ] {
        let form = read(text).wishes.form;
        assert!(!matches!(form, Form::Exact(_)), "{text}: {form:?}");
    }
}

#[test]
fn forms_and_lengths_are_those_asked_for() {
    form(
        "What is the capital of France? Answer in one word.",
        Form::OneWord,
    );
    form("Antworte in einem Wort: Was ist das?", Form::OneWord);
    form("用一个词回答", Form::OneWord);
    form("Is it raining? Answer yes or no.", Form::YesOrNo);
    form("Count from 1 to 10", Form::Numbers(1, 10, false));
    form(
        "Count down from 10 to 1, one per line",
        Form::Numbers(10, 1, true),
    );
    form("Zähle von 1 bis 5", Form::Numbers(1, 5, false));
    form("从1数到10", Form::Numbers(1, 10, false));
    form("1부터 5까지 세어줘", Form::Numbers(1, 5, false));
    form("List five reasons to visit Rome", Form::List(5, true));
    form("Give me 3 tips for sleeping", Form::List(3, true));
    form("Nenne drei Gründe", Form::List(3, true));
    form("Make a bullet list about the sea", Form::List(5, false));
    form("列出三个理由", Form::List(3, true));
    form("Compare cats and dogs in a table", Form::Table);
    form("Write a Python function that reverses a string", Form::Code);
    form("Schreibe eine Funktion in Rust", Form::Code);
    form("写一个Python函数", Form::Code);
    form("What is the function of the heart?", Form::Prose);
    form("Write an article with headings about bees", Form::Article);
    form("Hello!", Form::Greeting);
    form("你好", Form::Greeting);
    form("Hello, what is a lighthouse?", Form::Prose);

    length("Describe the sea in two sentences", Length::Sentences(2));
    length("Explain it in a sentence", Length::Sentences(1));
    length("Beschreibe das Meer in drei Sätzen", Length::Sentences(3));
    length("用两句话描述大海", Length::Sentences(2));
    length("海を2文で説明してください", Length::Sentences(2));
    length("Write a 50-word summary of bees", Length::Words(50));
    length("Explain bees in 100 words", Length::Words(100));
    length("Write 3 paragraphs about bees", Length::Paragraphs(3));
    length("Write a very long story about bees", Length::Endless);
    length("How long is the Nile?", Length::Usual);
    length("Tell me about long-term memory", Length::Usual);
    length("Write an essay about bees", Length::Essay);
    length("Briefly explain bees", Length::Short);
    length("Tell me about bees", Length::Usual);
}

#[test]
fn the_system_has_a_say_where_the_user_has_none() {
    use belljar_guest::text::{Message, Part, Role};
    let message = |role, text: &str| Message {
        role,
        name: None,
        content: Vec::from([Part::Text(text.into())]),
        tool_calls: Vec::new(),
        tool_call_id: None,
    };
    let read = |system: &str, user: &[&str]| {
        let mut messages = Vec::from([message(Role::System, system)]);
        messages.extend(user.iter().map(|text| message(Role::User, text)));
        Reading::of_messages(&messages)
    };
    assert_eq!(
        read("Always answer in French.", &["What is a bee?"]).language,
        Language::French
    );
    assert_eq!(
        read("Answer in one sentence.", &["What is a bee?"])
            .wishes
            .length,
        Length::Sentences(1)
    );
    assert_eq!(
        read("You are helpful.", &["Was ist eine Biene?", "2 + 2"]).language,
        Language::German
    );
    assert_eq!(
        read("Reply with exactly 'OK'.", &["What is a bee?"])
            .wishes
            .form,
        Form::Exact("OK".into())
    );
}

#[test]
fn nothing_breaks_what_reads_it() {
    let long = "é".repeat(5000) + " 'x";
    for text in [
        "",
        " ",
        "'",
        "-",
        "’",
        "«",
        "🙂",
        "a'",
        "漢",
        "\u{301}",
        "Say",
        "Say:",
        "Repeat after me:",
        "only",
        "exactly “",
        &long,
    ] {
        let _ = read(text);
    }
}

#[test]
fn what_is_compared_is_found_by_what_stands_between() {
    for (said, expect) in [
        (
            "Make a table comparing Python and Rust",
            vec!["Python", "Rust"],
        ),
        (
            "Compare cats, dogs and guinea pigs in a table",
            vec!["cats", "dogs", "guinea pigs"],
        ),
        ("A comparison table of tea vs coffee", vec!["tea", "coffee"]),
        (
            "Vergleiche Berlin und Wien in einer Tabelle",
            vec!["Berlin", "Wien"],
        ),
    ] {
        let things = subject::compared(said);
        assert!(
            things.starts_with(&expect.iter().map(ToString::to_string).collect::<Vec<_>>()),
            "{things:?}"
        );
    }
}

#[test]
fn a_single_word_that_is_named_and_what_the_system_wants_are_exact() {
    let form = |text: &str| Reading::of_text(text).wishes.form;
    let exact = |words: &str| Form::Exact(words.into());
    assert_eq!(form("Reply with the single word banana"), exact("banana"));
    assert_eq!(form("Write only: 7"), exact("7"));
    assert_eq!(
        form("Answer in a single word: what is the sea?"),
        Form::OneWord
    );
    assert_eq!(
        form("List 5 fruits as bullet points."),
        Form::List(5, false)
    );
    assert_eq!(
        form("Give me a numbered list of fruits"),
        Form::List(5, true)
    );
    let mut hello = Reading::of_text("Hello!").wishes;
    hello.follow(&Reading::of_text("You only ever answer with the word 'pineapple'.").wishes);
    assert_eq!(hello.form, exact("pineapple"));
}
