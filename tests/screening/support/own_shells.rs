//! What people write about shells without quoting the code, in our own wording.

use super::own::{fill, lines};

/// All of them.
pub(crate) fn texts() -> Vec<String> {
    let lines_of_code = [
        "df -h /",
        "du -sh * | sort -h",
        "tail -n 50 app.log",
        "mv old.txt new.txt",
        "systemctl restart nginx",
        "dir /s /b *.pdf",
        "Get-Process | Sort-Object CPU",
        "xcopy /e src dst",
        "tr a-z A-Z < in.txt",
        "uname -r",
        "ps -ef | grep java",
        "for i in 1 2 3; do echo $i; done",
    ];
    let frames = [
        "What does @ do?",
        "@ - what does this do",
        "@ prints nothing, why?",
        "Was genau macht @ hier?",
        "Que fait @ ?",
        "¿Para qué sirve @ en Linux?",
        "A cosa serve @ in pratica?",
        "Для чего нужна команда @",
        "@ 有什么用",
        "I ran @ and got an error. What now?",
        "Explain: @",
        "Translate into PowerShell: @",
        "Output of @ is empty on my laptop, please help",
    ];
    let mut texts = fill(&frames, &lines_of_code);
    texts.extend(lines(
        "bash: syntax error near unexpected token `('
zsh: permission denied: ./run.sh
sh: 1: foo: not found
fatal: not a git repository (or any of the parent directories): .git
grep: input.txt: No such file or directory
mv: cannot stat 'a.txt': No such file or directory
docker: Error response from daemon: port is already allocated.
cp or mv for moving a folder
ssh keeps asking for a password
netstat shows a port I do not know
apt says a package is held back
uname prints the wrong kernel
tar or zip for sending files?
ifconfig is missing on Debian 12
dig versus nslookup
make says nothing to be done
chmod and chown, explained simply
python prints twice
git log without the pager
awk for beginners
cut; paste; join: where are they used?
date; place; host: write an invitation
echo; reverb; delay: which pedal first?
mount the shelf; sand it; paint it
sleep, eat, code, repeat
who, what, when
cats & dogs; mice & men
type A; type B; type C
net income; gross income; tax
at home | at work | on the road
Tea | Coffee | Water
Ann; Bob; Cid
true && false || true gives what?
a && b || c: which binds tighter?
x = y | z in C
id;name;price;stock
date;host;value
Find f if f(x) = 2x; sort the roots; set x = 3
if x == 3 then y else z
if (x > 3) { return 1; }
while (i < 10) { i++; }
for (int i = 0; i < n; i++) sum += i;
The command line tool wget stops after 20 redirects
PATH is empty in cron
Windows: where is the hosts file?
net use asks for a password each time
Das Skript mit rsync bricht ab
El comando du tarda mucho
La commande make ne marche plus
Il comando top non parte
O comando tail trava",
    ));
    texts
}
