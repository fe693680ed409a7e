//! The words, each row with what all of its words say.

use super::{DE, EN, ES, FR, IT, PT, Sign, language, number, sign};

/// Words, and what each of them says. A word may stand in several rows.
pub(super) const ROWS: &[(&str, u64)] = &[
    (
        "the and is are was were what how why who whom where when which do does did can could you your me my i it its this that these those for with on about please tell explain write give would should have has had be been an at from or not some more there their them they he she we us our if so let's i'm i'd will shall may might must also very really like know think want need make get help use any all into than then just only but by as up out describe discuss talk tell's what's who's how's it's made between each other another same such own",
        EN,
    ),
    (
        "el la los las de del que en un una por para con es son está qué cómo cuál cuáles quién dónde cuándo se lo su sobre y o mi me dime explica explícame escribe cuéntame háblame describe al como más muy favor puedes quiero hay dame haz",
        ES,
    ),
    (
        "le la les des du de et en un une est sont que qui quoi quels pour dans sur avec au aux ce cette ces comment pourquoi quel quelle où je tu vous moi mon ma explique expliquez écris écrivez dis donne parle il y a d' l' qu' c'est peux-tu plaît raconte décris qu lorsqu jusqu",
        FR,
    ),
    (
        "der die das den dem des ein eine einen einem einer und ist sind was wie warum wer wo wann welche welcher welches für mit auf über von zu zum zur im am ich du sie mir mich nicht bitte erkläre erklär schreibe schreib nenne erzähle erzähl beschreibe gib kannst es gibt aus bei nach oder als mach sag",
        DE,
    ),
    (
        "o a os as de do da dos das em um uma para com é são que como qual quais quem onde quando por sobre e no na nos nas não me fale explique escreva conte descreva você meu minha mais muito favor ao à isso este esta dê faça diga pode",
        PT,
    ),
    (
        "il lo la i gli le di del della dei delle che in un una per con è sono come cosa cos'è qual quale quali chi dove quando perché su e o mi parlami spiega spiegami scrivi dimmi descrivi raccontami non più al alla nel nella favore dammi fammi puoi dell nell all cos dov sull dall quell",
        IT,
    ),
    // Of languages that are known by their letters.
    (
        "что как почему зачем где когда кто какой какая какие мне о об про и в на с по для это такое есть ли расскажи объясни опиши напиши пожалуйста не к из у от до вы ты я мы они он она можешь дай сделай",
        sign(Sign::Stop),
    ),
    (
        "ما ماذا هو هي عن من في على إلى كيف لماذا متى أين أخبرني اشرح لي هل و أو أن التي الذي هذا هذه مع كان اكتب صف حدثني تحدث فضلك يرجى أنا أنت أعطني ما_هو",
        sign(Sign::Stop),
    ),
    (
        "क्या है हैं में के का की को से और या बताओ बताइए बताएं मुझे बारे कैसे क्यों कब कहाँ कौन यह वह पर एक लिखो लिखिए लिखें समझाओ समझाइए कृपया हो था थी थे तुम आप मैं ने भी दो दीजिए",
        sign(Sign::Stop),
    ),
    (
        "알려줘 알려주세요 설명해줘 설명해주세요 설명해 무엇 무엇인가요 뭐 뭐야 어떻게 왜 언제 어디 누구 대해 대해서 대하여 대한 관해 관한 좀 주세요 써줘 써주세요 말해줘 말해주세요 이야기해줘 있나요 인가요 해줘 해주세요 그리고 나 너 저 제 내 것 수",
        sign(Sign::Stop),
    ),
    (
        "hello hi hey greetings good-morning howdy",
        EN | sign(Sign::Greeting),
    ),
    ("hola buenas buenos", ES | sign(Sign::Greeting)),
    ("bonjour salut bonsoir coucou", FR | sign(Sign::Greeting)),
    ("hallo moin servus guten", DE | sign(Sign::Greeting)),
    ("olá oi", PT | sign(Sign::Greeting)),
    ("ciao buongiorno salve buonasera", IT | sign(Sign::Greeting)),
    (
        "привет здравствуй здравствуйте مرحبا مرحباً السلام नमस्ते नमस्कार हैलो 안녕 안녕하세요",
        sign(Sign::Greeting),
    ),
    (
        "exactly only just verbatim nothing precisely literally",
        EN | sign(Sign::Exactly),
    ),
    (
        "exactamente solo sólo solamente únicamente nada",
        ES | sign(Sign::Exactly),
    ),
    (
        "exactement uniquement seulement juste rien",
        FR | sign(Sign::Exactly),
    ),
    (
        "genau nur exakt ausschließlich nichts lediglich",
        DE | sign(Sign::Exactly),
    ),
    ("exatamente apenas somente só", PT | sign(Sign::Exactly)),
    (
        "esattamente soltanto solamente nient'altro",
        IT | sign(Sign::Exactly),
    ),
    (
        "только ровно точно ничего فقط केवल सिर्फ़ सिर्फ",
        sign(Sign::Exactly),
    ),
    (
        "say reply respond answer output print return repeat echo type",
        EN | sign(Sign::Say),
    ),
    ("di responde contesta repite", ES | sign(Sign::Say)),
    ("dis réponds répondez répète répétez", FR | sign(Sign::Say)),
    (
        "sag sage antworte antworten wiederhole",
        DE | sign(Sign::Say),
    ),
    ("diga responda repita", PT | sign(Sign::Say)),
    ("rispondi ripeti di'", IT | sign(Sign::Say)),
    (
        "ответь скажи повтори напиши ответьте أجب قل اكتب लिखें लिखो कहो कहें बोलो",
        sign(Sign::Say),
    ),
    ("word words", EN | sign(Sign::Word)),
    (
        "wort worte wörter wörtern worten palabra palabras mot mots parola parole palavra palavras слово слова слов словом словах كلمة كلمات शब्द शब्दों 단어",
        sign(Sign::Word),
    ),
    ("sentence sentences", EN | sign(Sign::Sentence)),
    (
        "satz sätze sätzen frase frases frasi oración oraciones phrase phrases предложение предложения предложений предложениях جملة جمل जملتين वाक्य वाक्यों 문장 문장으로",
        sign(Sign::Sentence),
    ),
    ("paragraph paragraphs", EN | sign(Sign::Paragraph)),
    (
        "absatz absätze absätzen párrafo párrafos paragraphe paragraphes parágrafo parágrafos paragrafo paragrafi абзац абзаца абзацев فقرة فقرات अनुच्छेद 문단",
        sign(Sign::Paragraph),
    ),
    (
        "items points reasons tips ideas examples steps ways facts names things benefits advantages disadvantages questions suggestions features books movies countries cities animals fruits colors colours bullets recommendations options strategies types kinds differences pros cons titles lines haikus jokes",
        EN | sign(Sign::Item),
    ),
    (
        "punkte gründe tipps ideen beispiele schritte fakten vorteile nachteile wege möglichkeiten razones consejos ideas ejemplos pasos datos ventajas puntos raisons conseils idées exemples étapes faits avantages points ragioni motivi consigli idee esempi passi fatti vantaggi punti razões dicas ideias exemplos passos fatos vantagens pontos причин причины советов совета идей примеров примера шагов фактов пунктов أسباب نصائح أفكار أمثلة خطوات حقائق نقاط فوائد कारण सुझाव विचार उदाहरण कदम तथ्य 가지 이유 팁",
        sign(Sign::Item),
    ),
    (
        "list bullet bulleted bullets enumerate outline checklist steps pros cons",
        EN | sign(Sign::List),
    ),
    (
        "liste aufzählung stichpunkte aufzählen lista listado viñetas puces énumère elenca elenco puntato enumera список перечисли пунктами قائمة सूची 목록 리스트",
        sign(Sign::List),
    ),
    ("table tabular", EN | sign(Sign::Table)),
    (
        "tabelle tabla tableau tabella tabela таблица таблицу таблицы таблице جدول तालिका सारणी 표 표로 테이블",
        sign(Sign::Table),
    ),
    (
        "code function script program snippet algorithm regex query class implementation implement python javascript typescript rust golang java c++ c# ruby php swift kotlin bash shell sql html css",
        EN | sign(Sign::Code),
    ),
    (
        "funktion código función fonction codice funzione função programm programa programme skript код функцию функция программу скрипт كود دالة برنامج कोड फ़ंक्शन 코드 함수",
        sign(Sign::Code),
    ),
    (
        "markdown heading headings headers sections section subheadings",
        EN | sign(Sign::Heading),
    ),
    (
        "überschriften überschrift abschnitte encabezados titres intestazioni titoli títulos заголовками заголовки разделами",
        sign(Sign::Heading),
    ),
    (
        "write create implement generate give show build make schreibe schreib erstelle gib zeige escribe crea dame genera écris crée donne génère scrivi dammi escreva crie gere напиши создай اكتب أنشئ लिखो लिखिए बनाओ 작성해 작성해줘 써줘 만들어줘",
        sign(Sign::Make),
    ),
    (
        "poem haiku sonnet limerick verse gedicht vers poema haikú poème poesia поэму стихотворение стих стихи قصيدة कविता 시 시를",
        sign(Sign::Verse),
    ),
    (
        "capital hauptstadt capitale столица столицу عاصمة राजधानी 수도 수도는",
        sign(Sign::Capital),
    ),
    ("yes ja oui sí sim sì", sign(Sign::Yes)),
    ("no nein non não", sign(Sign::No)),
    ("name", sign(Sign::Name)),
    (
        "compare comparing comparison versus vs contrast vergleiche vergleich comparar compara comparez comparaison confronta confronto сравни сравнение",
        sign(Sign::Compare),
    ),
    (
        "summarize summarise summary tl;dr zusammenfassen zusammenfassung resume resumen résume résumé riassumi riassunto resuma resumo резюмируй",
        sign(Sign::Summary),
    ),
    (
        "translate translation übersetze übersetzen traduce traducir traduis traduire traduci traduza traduzir переведи",
        sign(Sign::Translate),
    ),
    ("joke", sign(Sign::Joke)),
    (
        "thanks thank danke gracias merci grazie obrigado obrigada спасибо شكرا धन्यवाद 감사합니다 고마워",
        sign(Sign::Thanks),
    ),
    ("json", sign(Sign::Json)),
    // Verbs of questions and of commands, whose objects are what it is about.
    (
        "send add remind recipe rezept receta recette ricetta receita calculate convert extract classify wrote invented discovered painted composed directed founded won paint invent discover funciona funcionan fonctionne fonctionnent marche funktioniert funktionieren funziona funzionano работает работают تعمل يعمل काम करता करती करते 작동 작동하나요",
        sign(Sign::Stop),
    ),
    ("count countdown", EN | sign(Sign::Count)),
    (
        "zähle zähl cuenta compte comptez conta conte conte-moi посчитай сосчитай считай عد गिनो गिनिए गिनती 세어 세어줘",
        sign(Sign::Count),
    ),
    (
        "long lengthy extensive exhaustive longest",
        EN | sign(Sign::Long),
    ),
    (
        "lange langen langer langes sehr-lang largo larga extenso extensa longue longs lungo lunga longo longa длинный длинную длинное длинное طويل طويلة लंबा लंबी लम्बा 긴 길게",
        sign(Sign::Long),
    ),
    (
        "forever endlessly indefinitely nonstop",
        EN | sign(Sign::Endless),
    ),
    (
        "essay article story report detailed detail comprehensive thorough depth speech letter guide tutorial tale",
        EN | sign(Sign::Essay),
    ),
    (
        "aufsatz artikel geschichte bericht ausführlich ausführliche detailliert detaillierte ensayo artículo cuento historia-larga informe detallado detallada detalladamente dissertation histoire rapport détaillé détaillée détail saggio articolo racconto dettagliato dettagliata redação artigo história relatório detalhado detalhada эссе статью рассказ сочинение подробно подробный доклад مقال مقالا مقالة قصة تقرير مفصل بالتفصيل निबंध लेख कहानी विस्तार विस्तृत 에세이 글 이야기 자세히 기사",
        sign(Sign::Essay),
    ),
    (
        "brief briefly short concise concisely shortly quick tl;dr",
        EN | sign(Sign::Short),
    ),
    (
        "kurz kurze kurzen knapp breve brevemente corto corta bref brève brièvement court courte curto curta conciso кратко коротко кратко باختصار मختصر संक्षेप संक्षिप्त 짧게 간단히",
        sign(Sign::Short),
    ),
    ("about regarding concerning", EN | sign(Sign::About)),
    (
        "über sobre sur su о об про عن bezüglich acerca",
        sign(Sign::About),
    ),
    ("why", EN | sign(Sign::Why)),
    ("how", EN | sign(Sign::How)),
    ("is are was were", EN | sign(Sign::Be)),
    (
        "do does did can could would should will",
        EN | sign(Sign::Do),
    ),
    ("i you we me us they he she it", EN | sign(Sign::Person)),
    (
        "a an the my your our his her its their",
        EN | sign(Sign::Article),
    ),
    ("of", EN | sign(Sign::Of)),
    ("line lines newline row rows", EN | sign(Sign::Line)),
    (
        "zeile zeilen línea líneas ligne lignes riga righe linha linhas строке строка строку سطر पंक्ति 줄",
        sign(Sign::Line),
    ),
    // What is asked to be done, and what it is to be: no subject of an answer.
    (
        "summarize summarise summary translate poem haiku joke compare comparison difference work works happen mean means called name question reply following text message something anything everything topic subject today simple terms good best great nice sure okay ok yes no thanks thank create generate provide show find using include keep going time way thing one first next last number numbers numbered two three four five six seven eight nine ten new old many much lot bit please begin start stop end without nothing else back go say says said word words",
        EN | sign(Sign::Stop),
    ),
    (
        "resume traduce poema algo todo tema nada",
        ES | sign(Sign::Stop),
    ),
    (
        "résume traduis poème blague chose tout thème sujet merci oui non",
        FR | sign(Sign::Stop),
    ),
    (
        "zusammenfassen übersetze gedicht witz etwas alles thema danke ja nein mal",
        DE | sign(Sign::Stop),
    ),
    (
        "resuma traduza poema tudo tema obrigado sim",
        PT | sign(Sign::Stop),
    ),
    (
        "riassumi traduci poesia qualcosa tutto tema grazie sì",
        IT | sign(Sign::Stop),
    ),
    (
        "one single ein eine einem einen un une una uno um uma один одно одну одним واحدة واحد एक 한",
        number(1),
    ),
    (
        "two zwei deux dos due dois duas два две двумя جملتين दो 두",
        number(2),
    ),
    (
        "three drei trois tres tre três три тремя ثلاث ثلاثة तीन 세",
        number(3),
    ),
    (
        "four vier quatre cuatro quattro quatro четыре أربع أربعة चार 네",
        number(4),
    ),
    (
        "five fünf cinq cinco cinque пять خمس خمسة पाँच पांच 다섯",
        number(5),
    ),
    ("six sechs seis sei шесть ست ستة छह", number(6)),
    (
        "seven sieben sept siete sette sete семь سبع سبعة सात",
        number(7),
    ),
    ("eight acht huit ocho otto oito восемь", number(8)),
    ("nine neun neuf nueve nove девять", number(9)),
    (
        "ten zehn dix diez dieci dez десять عشر عشرة दस 열",
        number(10),
    ),
    (
        "twenty zwanzig vingt veinte venti vinte двадцать",
        number(20),
    ),
    (
        "english englisch englische inglés anglais inglese inglês английском английский الإنجليزية अंग्रेज़ी 영어로",
        language(0),
    ),
    (
        "spanish spanisch spanische español espagnol spagnolo espanhol castellano испанском испанский الإسبانية स्पेनिश 스페인어로",
        language(1),
    ),
    (
        "french französisch französische francés français francese francês французском французский الفرنسية फ़्रेंच 프랑스어로",
        language(2),
    ),
    (
        "german deutsch deutsche alemán allemand tedesco alemão немецком немецкий الألمانية जर्मन 독일어로",
        language(3),
    ),
    (
        "portuguese portugiesisch portugués portugais portoghese português португальском البرتغالية पुर्तगाली 포르투갈어로",
        language(4),
    ),
    (
        "italian italienisch italiano italien итальянском итальянский الإيطالية इतालवी 이탈리아어로",
        language(5),
    ),
    (
        "chinese chinesisch chino chinois cinese chinês mandarin китайском китайский الصينية चीनी 중국어로",
        language(6),
    ),
    (
        "arabic arabisch árabe arabe arabo арабском арабский العربية अरबी 아랍어로",
        language(7),
    ),
    (
        "russian russisch ruso russe russo русском русский الروسية रूसी 러시아어로",
        language(8),
    ),
    (
        "japanese japanisch japonés japonais giapponese japonês японском японский اليابانية जापानी 일본어로",
        language(9),
    ),
    (
        "korean koreanisch coreano coréen корейском корейский الكورية कोरियाई 한국어로",
        language(10),
    ),
    ("hindi الهندية हिंदी हिन्दी 힌디어로", language(11)),
];
