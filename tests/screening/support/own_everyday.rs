//! What people send that is code, a command or data and nothing else, in our own wording.
//!
//! Alone it breaks out of nothing: no value stands before it. Lists of attacks have some of the
//! same words behind a quote, a separator or a substitution.

use super::own::{fill, lines};

/// Family, texts. A line break is spelt `\n`.
pub(crate) fn families() -> Vec<(&'static str, Vec<String>)> {
    let family = |block: &str| -> Vec<String> {
        let texts = lines(block).into_iter();
        texts.map(|text| text.replace("\\n", "\n")).collect()
    };
    vec![
        ("words", words()),
        ("commands", commands()),
        ("queries", queries()),
        ("programs", family(PROGRAMS)),
        ("calls", calls()),
        ("markup", family(MARKUP)),
        ("places", family(PLACES)),
        ("data", family(DATA)),
        ("said", family(SAID)),
    ]
}

fn words() -> Vec<String> {
    fill(
        &["@", "@?", "what is @", "@ tutorial", "@ or something else"],
        &[
            "ping",
            "curl",
            "wget",
            "ssh",
            "nmap",
            "mysql",
            "psql",
            "python",
            "perl",
            "bash",
            "sed",
            "apt",
            "pip",
            "systemctl",
            "base64",
            "netstat",
            "openssl",
            "noop",
            "whoami",
            "ansible",
            "terraform",
            "ftp",
            "powershell",
            "union",
            "select",
            "javascript",
        ],
    )
}

fn commands() -> Vec<String> {
    let mut texts = fill(
        &[
            "@",
            "$ @",
            "@ | less",
            "@ > out.txt",
            "@ && echo done",
            "cd app && @",
            "@ 2>&1 | tee log",
        ],
        &[
            "ls -la",
            "cat notes.txt",
            "ps aux",
            "uname -r",
            "git pull --rebase",
            "npm install",
            "python main.py --fast",
            "docker ps -a",
            "make -j4 all",
            "tail -n 20 app.log",
            "find . -name '*.js'",
            "chmod 755 run.sh",
            "cp -r a b",
            "df -h",
            "mysql -u root shop",
            "terraform plan",
            "ansible all -m ping",
            "ping -c 3 example.org",
            "ifconfig eth0",
            "curl -s localhost:8000/health",
            "tar czf a.tgz src",
            "systemctl status nginx",
        ],
    );
    texts.extend(lines(
        r#"tar czf site-$(date +%F).tgz public/
kill $(pgrep -f worker)
mv *.txt old/; ls old
for f in *.png; do convert "$f" "${f%.png}.jpg"; done
for i in 1 2 3; do echo $i; done
if [ -f .env ]; then source .env; fi
while true; do date; sleep 5; done
until nc -z db 5432; do sleep 1; done
docker run --rm -v "$PWD":/app node:20 npm test
docker exec -it web sh
pip install -r dev.txt || pip install --user -r dev.txt
chmod +x setup.sh && ./setup.sh --prefix=$HOME/.local
./gradlew build --info
./a.out < in.txt | diff - expected.txt
netstat -tlnp | grep :8080
ps aux | grep node | awk '{print $2}' | xargs kill
history | grep ssh
echo "$HOME" && echo `date`
export JAVA_HOME=$(dirname $(dirname $(readlink -f $(which java))))
find . -type f -name '*.tmp' -exec rm {} \;
sed -e 's/a/b/' -e 's/c/d/' in > out
awk 'NR % 2 == 0 { print $1; }' f
git log --since="2 weeks ago" --pretty=%h | wc -l
kubectl get pods -o jsonpath='{.items[0].metadata.name}'
rsync -avz --delete src/ host:/srv/www/
crontab -l | { cat; echo "0 4 * * * /usr/bin/backup"; } | crontab -
ssh-keygen -t ed25519 -C "ann@example.org"
ffmpeg -i a.mp4 -ss 00:01 -t 5 b.gif
Get-Process | Sort-Object CPU -Descending | Select-Object -First 3
Get-ChildItem | Where-Object { $_.Length -gt 5MB } | Remove-Item
Set-ExecutionPolicy RemoteSigned -Scope CurrentUser
Import-Csv a.csv | ForEach-Object { $_.Name }
xcopy C:\src D:\dst /E /I
dir /b *.pdf > list.txt
ipconfig /all
tasklist | findstr chrome
nohup python app.py &
sudo -l
timeout 5 make test
env DEBUG=1 node app.js
strace -f -e openat ls
sleep 5
gunzip -c a.sql.gz | psql shop
HELO mail.example.org
head -3 notes.txt; wc -l notes.txt
hostnamectl && timedatectl
df; du -sh .
docker pull nginx; docker run nginx
sync; poweroff
cmake .. && make -j2
./bootstrap; ./configure; make; make check
./autogen.sh && make && sudo make install
npm outdated; npm audit
mvn package && java -jar target/a.jar
git log|head
ps|wc -l
/usr/bin/env node
/usr/bin/env -S deno run
/usr/bin/perl
/usr/bin/perl -v
/usr/local/bin/python3.11 app.py --port 80
/bin/zsh
/bin/cp a b
/usr/sbin/sshd -T
/usr/lib/jvm/bin/java -version
30 2 * * 1 /usr/bin/python3 /srv/report.py
*/5 * * * * /bin/sh /srv/poll.sh
python -c 'import json; print(json.dumps({}))'
python3 -c "print(2 ** 10)"
perl -e 'print "a" x 3'
ruby -e 'p 1 + 1'
node -e 'console.log(process.arch)'
php -r 'echo PHP_VERSION;'
bash -c 'for i in 1 2; do echo $i; done'
sh -c 'make && make test'
docker exec web sh -c 'ls /app'
powershell -Command "Get-Date"
powershell -NoProfile -File a.ps1
cmd /c ver
cat /etc/hosts
cat /etc/fstab
cat /etc/passwd
wc -l /etc/passwd
sort /etc/passwd
grep ann /etc/passwd
less /etc/group
curl -LsSf https://tools.example.org/install.sh | sh
wget -q -O - https://get.example.org | bash
echo $SHELL
echo $0 $SHELL
echo `hostname`
alias la='ls -A'
alias gp="git push"
net use
net time
reg query HKCU\Software\Example
ann@box:~$ uptime
ann@box:~/src$ git status
root@web1:/srv# systemctl restart app
(base) ann@box:~$ conda list
%USERPROFILE%
%APPDATA%\Code\User"#,
    ));
    texts
}

fn queries() -> Vec<String> {
    let mut texts = fill(
        &["@", "@;", "EXPLAIN @", "@ -- slow"],
        &[
            "SELECT 1",
            "select * from cats",
            "SELECT name FROM visits WHERE day = 3",
            "SELECT a, b FROM t WHERE a = 'x' OR b = 'y' ORDER BY 1",
            "SELECT count(*) FROM t GROUP BY k HAVING count(*) > 2 LIMIT 10",
            "SELECT t.id FROM t LEFT JOIN u ON t.id = u.t WHERE u.t IS NULL",
            "UPDATE t SET n = n + 1 WHERE id = 4 AND n < 9",
            "INSERT INTO t (a, b) VALUES (1, 'two'), (3, 'four')",
            "DELETE FROM sessions WHERE seen < now() - interval '3 days'",
            "SELECT id FROM a UNION SELECT id FROM b",
            "select upper(name), length(name) from pets where name like 'A%'",
            "CREATE INDEX i ON t (a, b)",
        ],
    );
    texts.extend(lines(
        r#"SELECT name FROM visits WHERE day = 3; DELETE FROM carts;
BEGIN; UPDATE a SET n = n - 5 WHERE id = 1; UPDATE a SET n = n + 5 WHERE id = 2; COMMIT;
SELECT to_char(ts, 'YYYY-MM') AS m, sum(case when paid then 1 else 0 end) FROM bills GROUP BY 1;
select distinct kind from parcels order by 1 limit 9
CREATE TABLE users (id serial primary key, mail text unique);
ALTER TABLE users DROP COLUMN mail;
DROP TABLE IF EXISTS tmp_import;
TRUNCATE TABLE logs;
GRANT SELECT ON shop.* TO 'report'@'%';
EXEC dbo.ListOrders @from = '2024-01-01', @to = '2024-02-01';
SELECT @@version;
SHOW TABLES;
DESCRIBE pets;
WITH r AS (SELECT id, row_number() OVER (ORDER BY n DESC) AS p FROM t) SELECT * FROM r WHERE p <= 3
SELECT version();
select user(), now();
select current_user
insert or replace
left join on null
inner join vs where
drop table in postgres
union all performance
UNION SELECT
group by 2
ORDER BY 2 DESC"#,
    ));
    texts
}

/// Calls that pages and programs make all day, and that attacks make too.
fn calls() -> Vec<String> {
    fill(
        &["@", "@;"],
        &[
            "fetch(\"/api/items\")",
            "open(\"notes.txt\")",
            "open('a.csv', 'w')",
            "eval(input())",
            "import('./lazy.js')",
            "setInterval(tick, 1000)",
            "setTimeout(done, 50)",
            "out.write(line)",
            "db.execScript(sql)",
            "console.table(rows)",
            "function(a, b) { return a - b; }",
            "rows.map(function (r) { return r.id })",
        ],
    )
}

const PROGRAMS: &str = r#"print("hi")
print('a', 1)
console.log('x');
def add(a, b):\n    return a + b
import sys; print(sys.version)
import x from '../../components/Card' or '@/components/Card'?
const a = require("../lib/a");
#include <stdio.h>\nint main() { puts("hi"); }
int main(void){char *s="; x"; return strlen(s)||1;}
int main(void){char *c="| ls"; return system(c)&&1;}
for (let i = 0; i < 3; i++) { total += i; }
while (x < 3) { x++; }
fn f<'a>(s: &'a str) -> &'a str { s }
match x { Some(v) => v, None => 0 }
let r = s.split('|').map(|p| p.trim()).collect::<Vec<_>>();
public int Sum(int a, int b) => a + b;
echo $x['name'];
<?php foreach ($a as $b): ?>\n<li><?= $b ?></li>\n<?php endforeach; ?>
$stmt = $pdo->prepare('SELECT id FROM t WHERE a = ?');
cursor.execute("SELECT id FROM t WHERE a = %s", (a,))
(define (f n) (if (= n 0) 1 (* n (f (- n 1)))))
let rec f = function [] -> 0 | x :: t -> x + f t;;
main = interact $ unlines . map reverse . lines
local t = setmetatable({}, { __index = function(_, k) return k end })
df %>% filter(x > 3) %>% summarise(n = n())
A = [1 2; 3 4]; b = A \ [5; 6]
loop(N) -> receive {add, M} -> loop(N + M); stop -> ok end.
os.environ["PATH"].split(":")
re.sub(r"(?m)^#.*$", "", s)
x = eval(input())
os.system("cls")
document.getElementById('a').innerHTML = 'b';
window.location.href = '/home';
el.addEventListener('click', () => save());
alert("Saved!");
alert('done')
alert(x)
window.alert("Hello there");
confirm("Sure?")
${name}
#{title}
<%= post.title %>
$('#menu').on('click', function () { $(this).toggle(); });
#!/bin/bash\nset -eu\nfor f in "$@"; do\n  mv -- "$f" "${f// /_}"\ndone
#!/usr/bin/env bash\ncurl -fsS https://example.org/a | tar xz\necho ok
section .text\nglobal _start\n_start:\n  mov rax, 60\n  syscall"#;

const MARKUP: &str = r#"<html>
<br>
<p>Hello</p>
<ul><li>a</li><li>b</li></ul>
<div id="main" class="wide"><span>x</span></div>
<img src="cat.png" alt="cat">
<img src="a.jpg"> is not shown
<a href="/about">About</a>
<a href="javascript:void(0)">More</a>
<button onclick="toggle()">Menu</button>
<form action="/search"><input type="text" name="q"></form>
<iframe width="300" height="200" src="https://video.example.org/embed/7" allowfullscreen></iframe>
<video src="a.mp4" controls></video>
<link rel="stylesheet" href="style.css">
<script src="app.js"></script>
<script src="https://cdn.example.org/lib.js" defer></script> where does it go
<meta charset="utf-8"><title>Hi</title>
<a href="https://docs.example.org/start">Start</a>
<html><body></body></html>
<html></html>
<form method="post" action="/signup"></form>
<script src="main.js"></script>
<script src="https://cdn.example.org/vue.js"></script>
<script>let a = 1;</script>
<iframe src="https://maps.example.org/embed"></iframe>
<button type="button" onclick="next()">Next</button>
<input type="submit" value="Go">
<object data="a.pdf" type="application/pdf"></object>
<style>a { color: red; background: url(a.png) }</style>
<svg width="10" height="10"><circle r="4"/></svg>
<!DOCTYPE html>\n<html>\n<body>\n<h1>Hi</h1>\n</body>\n</html>
<rules>\n<rule>Be kind.</rule>\n<rule>Be brief.</rule>\n</rules>
<role>helper</role><task>Sum up the text.</task>
<context>Tea</context>\n<question>Why?</question>
<person><name>Ann</name><age>3</age></person>
<?xml version="1.0" encoding="UTF-8"?>\n<a><b>1</b></a>
<project><modelVersion>4.0.0</modelVersion></project>
<template>\n  <li v-for="i in items" :key="i">{{ i }}</li>\n</template>
{{ page.title }} | {% if user %}Hi{% endif %}
<input value={name} onChange={e => set(e.target.value)} />
<Foo {...props} />
javascript:
vbscript
data:
&nbsp; and &lt;b&gt;"#;

const PLACES: &str = r#"/etc/hosts
/etc/nginx/nginx.conf
/var/log/syslog
/var/log/syslog is 30 GB
/var/www/html
/usr/local/etc
/home/ann/.bashrc
/proc/cpuinfo
/dev/null
../
..
../..
../notes.md
../shared/notes.md
./models/../models/a.gguf
../../src/a.ts
../../../lib/util/date.py
../../assets/logo.svg
..\docs\a.md
C:\Windows\System32
C:\Users\ann
~/.ssh/id_ed25519.pub
sudo: /etc/sudoers is owned by uid 1000, should be 0
bash: /bin/foo: No such file or directory
cannot open /var/run/app.pid: Permission denied
what lives in /etc/apache2
.htaccess
web.config
php.ini
my.ini or my.cnf
access.log
wp-config.php is missing
https://shop.example/item?id=5&ref=../home#reviews
https://example.org/a?x=1&y=2;z=3
https://example.org/wiki/C%2B%2B#Syntax%3B
http://localhost:8080/login?next=/a?b=c&d=e
file.txt; other.txt
(&(objectClass=person)(uid=ann))
(&(objectClass=person)(|(cn=Ann*)(mail=*@example.org)))
(|(cn=a*)(sn=b*))
(!(mail=*))
(&(a=1)(b=2)(c=*))"#;

const DATA: &str = r#"id;name;note\n1;Ann;ok\n2;Bob;"--"
a,b,c\n1,2,3
"id","text"\n"1","She said ""no"" -- twice"
| a | b |\n|---|---|\n| 1 | 2 |
out.txt: a.c ; ./a | tee out.txt
all: app\n\t./app | tee out.txt
build:\n\tcargo build && ./target/debug/app; echo ok
FROM debian\nRUN apt-get update && apt-get install -y curl && rm -rf /var/lib/apt/lists/*\nCMD ["app"]
on: push\njobs:\n  a:\n    steps:\n      - run: curl -s https://x.example | sh
location / { try_files $uri /index.html; }
Host *.example.org\n  User ann\n  IdentityFile ~/.ssh/id_rsa
set -g mouse on; bind r source-file ~/.tmux.conf
0 3 * * 0 /usr/bin/backup --all >> /var/log/backup.log 2>&1
"scripts": { "clean": "rm -rf dist && tsc" }
{"a": 1, "b": [2, 3]}
{"path": "../a.txt", "content": "x"}
2024-03-01T08:00:00Z WARN db: slow query: SELECT * FROM t WHERE a = 'b' (1200 ms)
127.0.0.1 - - [01/Mar/2024:08:00:00 +0000] "GET /a?b=1 HTTP/1.1" 200 17
npm ERR! code ENOENT\nnpm ERR! syscall open\nnpm ERR! path /app/package.json
Traceback (most recent call last):\n  File "/app/a.py", line 2\nValueError: x
ERROR 1064 (42000): You have an error near 'from t where' at line 1
ld: cannot find -lfoo
TypeError: x is not a function\n    at f (a.js:1:2)
^\d{3}-\d{4}$
/^[\w.]+@[\w.]+$/i
a|b|c
x && y || z
a = b; c = d
f(x) = |x - 1|
P(A|B) = P(B|A) P(A) / P(B)
\begin{align} a &= b \\ c &= d \end{align}
key = "value" ; comment
name=ann; path=/; HttpOnly"#;

const SAID: &str = r#"@bot run the tests && ping me when done
!restart web-2
kill the job on node 3 please
rm or rmdir
curl with a json body
cat vs less
sudo without password
kill -9 vs kill -15
chmod 755 or 644
fix(auth): don't drop the session; closes #12
Revert "Drop table old_orders (#7)"
R&D; "ideas" -- and more
Ann's list: 'tea' and "milk"
she said 'yes' or 'no'
don't; won't; can't
5 < 6 & 7 > 6
true or false
null or 0
1 or 2
a or b and c
id or name?
and/or
either/or
drag'n'drop
fish'n'chips
print or display
how to exit vi
tmux or screen?
where is my .bashrc
delete from list in python
sort by date desc
insert or update
typing ' or '1'='1 into a form makes the condition always true, so how does a prepared statement stop that?
The scanner sent 1' AND SLEEP(5)-- to our login page and nothing happened. Is that good?
Our course says that file=../../x climbs two folders. How do I check the name before I open it?"#;
