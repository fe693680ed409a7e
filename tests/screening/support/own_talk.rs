//! What people write that looks like an attack and is none, in our own wording.

use super::own::{fill, lines};
use super::own_shells;

/// Family, texts.
pub(crate) fn families() -> Vec<(&'static str, Vec<String>)> {
    let code = [
        "`ls -la | grep foo`",
        "`SELECT * FROM users WHERE id = 1`",
        "`<div onclick=\"go()\">`",
        "`rm -rf node_modules && npm install`",
        "`curl -s https://example.org/x.sh | bash`",
        "`../config/settings.toml`",
        "`(&(objectClass=person)(uid=jo))`",
        "`' or 1=1 --`",
        "`kill -9 $(pidof app)`",
        "`for %i in (*.txt) do type %i`",
        "`<script src=\"app.js\"></script>`",
        "`<!DOCTYPE note SYSTEM \"note.dtd\">`",
    ];
    let asks = [
        "What does @ do?",
        "Can you explain @ to me?",
        "Why does @ fail on my machine?",
        "Was macht @ genau?",
        "¿Qué hace @ y por qué falla?",
        "Que fait @ exactement ?",
        "Что делает @ и почему не работает?",
        "@ 是什么意思？",
        "@ は何をしますか？",
        "Please rewrite @ so that it is easier to read.",
        "I found @ in our repository, is it safe?",
        "How do I write @ in a safer way?",
    ];
    let blocks = [
        "```sql\nselect name, count(*) from orders where total > 10 or status = 'x' group by 1 order by 2;\n```",
        "```sh\nfor f in *.log; do cat $f | gzip > $f.gz; done\n```",
        "```html\n<form action=\"/login\"><input name=u><script>alert(1)</script></form>\n```",
        "```python\nimport os\nos.system('ls -la ../data')\n```",
        "```xml\n<!DOCTYPE note [<!ENTITY w SYSTEM \"w.txt\">]><note>&w;</note>\n```",
        "```\nldapsearch -b dc=example,dc=org '(|(uid=a*)(cn=b*))'\n```",
    ];
    let asks_block = [
        "Please review this code:\n\n@",
        "What is wrong here?\n@\nIt prints nothing.",
        "Fix the bug in this snippet:\n\n@\n\nThanks!",
        "Explique ce code :\n@",
        "请解释这段代码：\n@",
        "Напиши тесты для этого кода:\n\n@",
        "Convert the following to another dialect.\n\n@",
        "Is this vulnerable, and how do I fix it?\n@",
    ];
    vec![
        ("inline", fill(&asks, &code)),
        ("blocks", fill(&asks_block, &blocks)),
        ("bare", bare()),
        ("shells", own_shells::texts()),
        ("phrases", phrases()),
        ("formulas", formulas()),
    ]
}

/// Code in the middle of a sentence, with nothing around it.
fn bare() -> Vec<String> {
    let code = [
        "SELECT id, name FROM pets WHERE age > 3 AND kind = 'cat' ORDER BY name;",
        "UPDATE stock SET n = n - 1 WHERE sku = 'A-7' AND n > 0",
        "INSERT INTO t (a, b) VALUES (1, 'x'), (2, 'y');",
        "ls -la | sort -k5 -n | tail -3",
        "find . -name '*.rs' -exec wc -l {} +",
        "git log --oneline | head -5 && git status",
        "<ul><li><a href=\"/a\">A</a></li></ul>",
        "<button onclick=\"save()\">Save</button>",
        "const x = document.querySelector('#a'); x.innerHTML = 'b';",
        "cd ../.. && make install",
        "cp ../data/in.csv /tmp/out.csv",
        "(&(objectClass=user)(department=sales))",
        "<?xml version=\"1.0\"?><note><to>Jo</to></note>",
        "grep -rn 'todo' src/ ; echo done",
    ];
    let asks = [
        "Explain this to me: @",
        "I tried @ but it does not work, what is the reason for that?",
        "How can I make this faster? @",
        "Here is what I have so far:\n\n@\n\nIs this right?",
        "Given the line\n    @\nwhat would the output be?",
        "Please translate this for the documentation: @",
        "Kannst du mir erklären, was das hier macht: @",
        "Necesito ayuda con esta línea, no entiendo el resultado: @",
        "помогите понять эту строку: @",
    ];
    fill(&asks, &code)
}

fn phrases() -> Vec<String> {
    lines(
        "SALT AND PEPPER SET
\"GIFTS\" AND \"TOYS\" AND \"KIDS ROOM\"
\"TO BE OR NOT TO BE\"
\"NOT FOR CHILDREN\"
\"AND THEN THERE WERE NONE\"
BLUE OR GREEN OR RED
BOTH OF US AND THE DOG
WHERE IS MY ORDER
4 AND 20 BLACKBIRDS
5/8 INCH SCREWS
3' X 5' RUG
6\" VASE AND 8\" VASE
O'Brien or O'Neil
rock 'n' roll and blues
the '80s and the '90s
THIS+AND+THAT+3
COLOR+RED+SIZE+12
VINTAGE -BRASS -COPPER
(OLD, USED) CHAIR
(555) 010-7788
+1 555 010 7788
ABC-123-XYZ
user@example.com
john.doe+news@mail.example.org
https://example.com/a/b?c=d&e=f
/search?q=\"red+shoes\"&page=2&sort=asc
/shop/list.php?tags[0]=sale&q=lamp
http://example.com/my file.pdf
report (final) v2.pdf
AT&T and R&D
Q&A; notes
Smith & Sons; Ltd.
drop me a line
select the best option
select one or more items
union of two sets
order by phone
insert coin to continue
update from the field
delete my account
create table of contents
group by age
left join in tsql
Insert into two tables at once
INSERT INTO NEW_TABLE SELECT * FROM OLD_TABLE;
select query with two conditions
select top ten rows in oracle
sql like or equal
update table from another table
Delete duplicate rows from table
how to drop a column
exec summary
more or less
cat and mouse
time and again
find waldo
head over heels
sort it out
kill time
echo chamber
touch base
who am i
man of the year
net income
set theory
type error
join us tomorrow
echo in the hall
watch the screen
script for a short film
please wait 5 minutes
if not now, when
for all x in X
<3
:-) ;-)
*** important ***
-- Jo
--- page 2 ---
# Title
## Notes
1. first 2. second
* item one
> quoted line
{name}
{{ user.name }}
Hello {{first_name}}, welcome
[link](http://example.com)
![logo](logo.png)
<b>bold</b> text
Click <a href=\"/help\">here</a>
a < b and c > d
x = y = z
50% off & free shipping
100% cotton
C:\\Users\\jo\\report.docx
/home/jo/photos
~/.bashrc
./run.sh
src/main.rs
v1.2.3-beta+4
sha256:ab12cd34
key=value; other=thing
name: app, on: push
def f(x): return x
print(\"hello\")
import numpy as np
x -> y | z
a && b || c
foo(); bar();
return 0;
null
true or false
N/A
AAAAAAAAAAAA
hahahahaha
?!?!
...
ok... fine
what the ...
qwertyuiop[]\\;'
asdf;lkj",
    )
}

fn formulas() -> Vec<String> {
    let formulas = [
        "$x^2 + 3x - 4 = 0$",
        "$\\frac{1}{2} + \\frac{3}{4}$",
        "$(a+b)(a-b)$",
        "$\\cos 3x = \\sin x$",
        "$\\log_2 8$",
        "$\\sqrt{2}$",
        "$|x-1| < 3$",
        "\\[\\sum_{i=1}^n i = \\frac{n(n+1)}{2}\\]",
        "$\\{1,2,3\\}$",
        "$a & b \\\\ c & d$",
        "$f'(x) = 2x$",
        "$P(A|B)$",
    ];
    let mut all = fill(
        &[
            "Solve @.",
            "Compute @.",
            "Find @",
            "If @ then find $x$.",
            "@",
            "Evaluate: @",
            "已知 @，求 $x$。",
            "Let @. (A) 1 (B) 2 (C) 3",
        ],
        &formulas,
    );
    all.extend(lines("\\frac{a}{b}\n1, 2, 4, 8, ?\n2=6 3=12 4=20 9=?\n(1) x (2) y (3) z\n(A)12\n3 + 4 = 7\nx=1;y=2"));
    all
}
