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

/// The first program of all, in the order of the languages above; none of those that only mark up.
const HELLO: [&str; 15] = [
    "print(\"Hello, world!\")",
    "console.log(\"Hello, world!\");",
    "console.log(\"Hello, world!\");",
    "fn main() {\n    println!(\"Hello, world!\");\n}",
    "package main\n\nimport \"fmt\"\n\nfunc main() {\n\tfmt.Println(\"Hello, world!\")\n}",
    "public class Main {\n    public static void main(String[] args) {\n        System.out.println(\"Hello, world!\");\n    }\n}",
    "#include <iostream>\n\nint main() {\n    std::cout << \"Hello, world!\\n\";\n}",
    "Console.WriteLine(\"Hello, world!\");",
    "#include <stdio.h>\n\nint main(void) {\n    puts(\"Hello, world!\");\n    return 0;\n}",
    "puts \"Hello, world!\"",
    "<?php\necho \"Hello, world!\\n\";",
    "print(\"Hello, world!\")",
    "fun main() {\n    println(\"Hello, world!\")\n}",
    "#!/usr/bin/env bash\necho \"Hello, world!\"",
    "SELECT 'Hello, world!';",
];

/// What is asked for most often, in Python and in JavaScript.
const KNOWN: [(&str, [&str; 2]); 5] = [
    (
        "prime primes",
        [
            "def is_prime(number):\n    \"\"\"Whether a number is prime.\"\"\"\n    if number < 2:\n        return False\n    divisor = 2\n    while divisor * divisor <= number:\n        if number % divisor == 0:\n            return False\n        divisor += 1\n    return True\n\n\nprint([number for number in range(20) if is_prime(number)])",
            "// Whether a number is prime.\nfunction isPrime(number) {\n  if (number < 2) return false;\n  for (let divisor = 2; divisor * divisor <= number; divisor += 1) {\n    if (number % divisor === 0) return false;\n  }\n  return true;\n}\n\nconsole.log([2, 9, 17].map(isPrime));",
        ],
    ),
    (
        "reverse reverses reversed",
        [
            "def reverse_string(text):\n    \"\"\"The text from its end to its beginning.\"\"\"\n    return text[::-1]\n\n\nprint(reverse_string(\"hello\"))",
            "// The text from its end to its beginning.\nfunction reverseString(text) {\n  return [...text].reverse().join(\"\");\n}\n\nconsole.log(reverseString(\"hello\"));",
        ],
    ),
    (
        "factorial factorials",
        [
            "def factorial(number):\n    \"\"\"The product of all whole numbers up to this one.\"\"\"\n    result = 1\n    for factor in range(2, number + 1):\n        result *= factor\n    return result\n\n\nprint(factorial(5))",
            "// The product of all whole numbers up to this one.\nfunction factorial(number) {\n  let result = 1;\n  for (let factor = 2; factor <= number; factor += 1) result *= factor;\n  return result;\n}\n\nconsole.log(factorial(5));",
        ],
    ),
    (
        "fibonacci",
        [
            "def fibonacci(count):\n    \"\"\"The first numbers of the sequence.\"\"\"\n    numbers = []\n    first, second = 0, 1\n    for _ in range(count):\n        numbers.append(first)\n        first, second = second, first + second\n    return numbers\n\n\nprint(fibonacci(10))",
            "// The first numbers of the sequence.\nfunction fibonacci(count) {\n  const numbers = [];\n  let [first, second] = [0, 1];\n  for (let index = 0; index < count; index += 1) {\n    numbers.push(first);\n    [first, second] = [second, first + second];\n  }\n  return numbers;\n}\n\nconsole.log(fibonacci(10));",
        ],
    ),
    (
        "palindrome palindromes",
        [
            "def is_palindrome(text):\n    \"\"\"Whether a text reads the same from its end.\"\"\"\n    letters = [letter.lower() for letter in text if letter.isalnum()]\n    return letters == letters[::-1]\n\n\nprint(is_palindrome(\"A man, a plan, a canal: Panama\"))",
            "// Whether a text reads the same from its end.\nfunction isPalindrome(text) {\n  const letters = text.toLowerCase().replace(/[^a-z0-9]/g, \"\");\n  return letters === [...letters].reverse().join(\"\");\n}\n\nconsole.log(isPalindrome(\"level\"));",
        ],
    ),
];

/// How many words the name of a function may have.
const NAME_WORDS: usize = 4;

/// A block of code in Markdown, in the language that the prompt names, or in Python.
pub(crate) fn code(said: &str, topics: &[Topic]) -> String {
    let lower = words::lowered(said);
    let is_mark = |letter: char| !letter.is_ascii_alphanumeric() && !"+#".contains(letter);
    let named = PROGRAMS.iter().position(|(names, ..)| {
        let is_named = |word| words::is_in(names, word) && word != "query";
        lower.split(is_mark).any(is_named)
    });
    let at = named.unwrap_or(0);
    let Some((_, language, program)) = PROGRAMS.get(at) else {
        return String::new();
    };
    let says_hello = lower.contains("hello world") || lower.contains("hello, world");
    let known = KNOWN.iter().find(|(names, _)| {
        let mut spoken = lower.split(is_mark);
        spoken.any(|word| words::is_in(names, word))
    });
    let whole = match HELLO.get(at).filter(|_| says_hello) {
        Some(hello) => Some(*hello),
        None => known.and_then(|(_, programs)| programs.get(at).copied()),
    };
    if let Some(whole) = whole {
        return ["```", language, "\n", whole, "\n```"].concat();
    }
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
    // `counts lines` is what `count_lines` does.
    let is_alone = name.len() < 2;
    let verb = name.first_mut().filter(|_| !is_alone);
    if let Some(verb) = verb.filter(|verb| verb.ends_with('s') && !verb.ends_with("ss")) {
        verb.pop();
    }
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
