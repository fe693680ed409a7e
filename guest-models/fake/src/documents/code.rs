//! Code in the language that is asked for: a function that is named after the subject.

use alloc::string::String;
use alloc::vec::Vec;

use crate::reading::Topic;
use crate::words;

/// A language: the words that name it, its name in Markdown, and a program with places for the
/// function's name (`{n}`) and what it is about (`{t}`).
const PROGRAMS: [(&str, &str, &str); 17] = [
    (
        "python",
        "python",
        "def {n}(value):\n    \"\"\"{t}.\"\"\"\n    result = []\n    for item in value:\n        result.append(item)\n    return result\n\n\nif __name__ == \"__main__\":\n    print({n}([1, 2, 3]))",
    ),
    (
        "javascript js node",
        "javascript",
        "// {t}.\nfunction {c}(value) {\n  return [...value].map((item) => item);\n}\n\nconsole.log({c}([1, 2, 3]));",
    ),
    (
        "typescript ts",
        "typescript",
        "// {t}.\nfunction {c}<T>(value: T[]): T[] {\n  return value.map((item) => item);\n}\n\nconsole.log({c}([1, 2, 3]));",
    ),
    (
        "rust",
        "rust",
        "/// {t}.\nfn {n}(value: &[i32]) -> Vec<i32> {\n    value.iter().copied().collect()\n}\n\nfn main() {\n    println!(\"{:?}\", {n}(&[1, 2, 3]));\n}",
    ),
    (
        "golang go",
        "go",
        "package main\n\nimport \"fmt\"\n\n// {c}: {t}.\nfunc {c}(value []int) []int {\n\treturn append([]int(nil), value...)\n}\n\nfunc main() {\n\tfmt.Println({c}([]int{1, 2, 3}))\n}",
    ),
    (
        "java",
        "java",
        "import java.util.List;\n\npublic class Main {\n    /** {t}. */\n    static List<Integer> {c}(List<Integer> value) {\n        return List.copyOf(value);\n    }\n\n    public static void main(String[] args) {\n        System.out.println({c}(List.of(1, 2, 3)));\n    }\n}",
    ),
    (
        "c++ cpp",
        "cpp",
        "#include <iostream>\n#include <vector>\n\n// {t}.\nstd::vector<int> {n}(const std::vector<int>& value) {\n    return value;\n}\n\nint main() {\n    for (int item : {n}({1, 2, 3})) std::cout << item << '\\n';\n}",
    ),
    (
        "c# csharp",
        "csharp",
        "using System;\nusing System.Linq;\n\n// {t}.\nint[] {c}(int[] value) => value.ToArray();\n\nConsole.WriteLine(string.Join(\", \", {c}(new[] { 1, 2, 3 })));",
    ),
    (
        "c",
        "c",
        "#include <stdio.h>\n\n/* {t}. */\nint {n}(const int *value, int count) {\n    int sum = 0;\n    for (int i = 0; i < count; i++) sum += value[i];\n    return sum;\n}\n\nint main(void) {\n    int value[] = {1, 2, 3};\n    printf(\"%d\\n\", {n}(value, 3));\n    return 0;\n}",
    ),
    (
        "ruby",
        "ruby",
        "# {t}.\ndef {n}(value)\n  value.map { |item| item }\nend\n\np {n}([1, 2, 3])",
    ),
    (
        "php",
        "php",
        "<?php\n// {t}.\nfunction {n}(array $value): array {\n    return array_values($value);\n}\n\nprint_r({n}([1, 2, 3]));",
    ),
    (
        "swift",
        "swift",
        "/// {t}.\nfunc {c}(_ value: [Int]) -> [Int] {\n    value.map { $0 }\n}\n\nprint({c}([1, 2, 3]))",
    ),
    (
        "kotlin",
        "kotlin",
        "// {t}.\nfun {c}(value: List<Int>): List<Int> = value.map { it }\n\nfun main() {\n    println({c}(listOf(1, 2, 3)))\n}",
    ),
    (
        "bash shell sh",
        "bash",
        "#!/usr/bin/env bash\n# {t}.\nset -euo pipefail\n\n{n}() {\n    for item in \"$@\"; do\n        printf '%s\\n' \"$item\"\n    done\n}\n\n{n} 1 2 3",
    ),
    (
        "sql query",
        "sql",
        "-- {t}.\nSELECT id, name, created_at\nFROM {n}\nWHERE created_at >= '2026-01-01'\nORDER BY created_at DESC\nLIMIT 10;",
    ),
    (
        "html",
        "html",
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n  <meta charset=\"utf-8\">\n  <title>{t}</title>\n</head>\n<body>\n  <h1>{t}</h1>\n  <p>An example.</p>\n</body>\n</html>",
    ),
    (
        "css",
        "css",
        "/* {t}. */\n.{n} {\n  display: flex;\n  gap: 1rem;\n  padding: 1rem;\n}",
    ),
];

/// How many words the name of a function may have.
const NAME_WORDS: usize = 4;

/// A block of code in Markdown, in the language that the prompt names, or in Python.
pub(crate) fn code(said: &str, topics: &[Topic]) -> String {
    let lower = words::lowered(said);
    let is_mark = |letter: char| !letter.is_ascii_alphanumeric() && !"+#".contains(letter);
    let named = PROGRAMS.iter().find(|(names, ..)| {
        lower
            .split(is_mark)
            .any(|word| words::is_in(names, word) && word != "query")
    });
    let [default, ..] = &PROGRAMS;
    let (_, language, program) = named.unwrap_or(default);
    let name = name_of(topics);
    let mut out = String::from("```");
    out.push_str(language);
    out.push('\n');
    let program = program
        .replace("{n}", &name.join("_"))
        .replace("{c}", &camel(&name));
    out.push_str(&program.replace("{t}", &words::capitalised(&name.join(" "))));
    out.push_str("\n```");
    out
}

/// A function's name: words of the subject, as far as they are of the English alphabet.
fn name_of(topics: &[Topic]) -> Vec<String> {
    let texts = topics
        .iter()
        .map(|topic| topic.deed.as_deref().unwrap_or(topic.bare()));
    let mut name: Vec<String> = texts
        .flat_map(words::of_name)
        .filter(|word| {
            word.len() > 1
                && word.bytes().all(|byte| byte.is_ascii_alphabetic())
                && !PROGRAMS.iter().any(|(names, ..)| words::is_in(names, word))
        })
        .take(NAME_WORDS)
        .collect();
    if name.is_empty() {
        name.push("process".into());
    }
    name
}

fn camel(name: &[String]) -> String {
    let mut out = String::new();
    for (index, word) in name.iter().enumerate() {
        if index == 0 {
            out.push_str(word);
        } else {
            out.push_str(&words::capitalised(word));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn code_is_in_the_language_that_is_named() {
        let topic = Topic::new("a", "string", Some("reverse a string".into()));
        let topics = [topic];
        for (said, expect) in [
            ("Write a Python function", "```python\ndef reverse_string("),
            ("in Rust, please", "```rust\n"),
            ("write C++ code", "```cpp\n"),
            ("a JavaScript function", "function reverseString("),
            ("an SQL query", "```sql\n"),
            ("Write a function", "```python\n"),
        ] {
            let text = code(said, &topics);
            assert!(
                text.contains(expect) && text.ends_with("\n```"),
                "{said}: {text}"
            );
            assert!(
                !["{n}", "{c}", "{t}"].iter().any(|slot| text.contains(slot)),
                "{text}"
            );
        }
        assert!(code("代码", &[]).contains("def process("));
    }
}
