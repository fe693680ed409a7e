//! Finds fixed phrases with one automaton, in one pass.

use std::sync::LazyLock;

use aho_corasick::{AhoCorasick, AhoCorasickKind, MatchKind};

use crate::features::{Feature, Found};
use crate::reader::Tokens;

/// The phrases, without regard to case, and what each is a sign of.
const PHRASES: &[(Feature, &[&str])] = &[
    (
        Feature::PathSensitive,
        &[
            "/etc/passwd",
            "/etc/shadow",
            "/etc/master.passwd",
            "etc\\passwd",
            "etc\\shadow",
            "etc\\/passwd",
            "etc2fpasswd",
            "etc2fissue",
            "etc2fshadow",
            "etc2fhttpd",
            "boot.ini",
            "win.ini",
            "winnt\\system32",
            "winnt/system32",
            "\\winnt\\",
            "/winnt/",
            "repair\\sam",
            "repair\\system",
            "config\\sam",
            "global.asa",
            "/proc/self",
            "/usr/local/cpanel",
            "/opt/lampp",
            ".htpasswd",
            ".svn/entries",
            ".aws/credentials",
            "/dev/null;",
            "config.inc.php",
            "sam.log",
            "localstart.asp",
            "windows\\win",
            "/etc/[",
            "\\\\.\\pipe",
        ],
    ),
    (
        Feature::PathSystem,
        &[
            "/etc/group",
            "/etc/hosts",
            "/etc/issue",
            "/etc/motd",
            "/etc/sudoers",
            "/etc/crontab",
            "/etc/fstab",
            "/etc/httpd",
            "/etc/apache",
            "/etc/nginx",
            "/etc/mysql",
            "/etc/ssh",
            "/etc/php",
            "/etc/resolv.conf",
            "/etc/environment",
            "/etc/network",
            "/etc/security",
            "/etc/ftp",
            "/etc/my.cnf",
            "/etc/profile",
            "/etc/inetd",
            "/etc/lilo.conf",
            "/etc/samba",
            "etc\\issue",
            "etc\\hosts",
            "etc\\/issue",
            "etc/issue",
            "system.ini",
            "php.ini",
            "my.ini",
            "windows\\system32",
            "windows/system32",
            "web.config",
            "web.xml",
            "web-inf",
            "meta-inf",
            "/proc/version",
            "/proc/cmdline",
            "/proc/net",
            "/proc/mounts",
            "/var/log/",
            "/var/www",
            "/var/mail",
            "/var/lib/",
            "/var/run/",
            "/var/spool/",
            "/usr/local/etc",
            "/usr/local/apache",
            "/root/.",
            ".bash_history",
            ".htaccess",
            ".ssh/id_",
            ".ssh/authorized",
            ".git/config",
            "wp-config",
            "access.log",
            "access_log",
            "acces_log",
            "acces.log",
            "error.log",
            "error_log",
            "\\inetpub\\",
            "/inetpub/",
            "inetpub\\wwwroot",
            "/dev/random",
            "/dev/zero",
            "configuration.php",
            "/conf/httpd.conf",
            "httpd.conf",
            "apache/logs",
            "apache2/logs",
            "apache\\logs",
            "xampp\\",
            "xampp/",
            "/administrator/",
            "desktop.ini",
            "ntuser",
            "cmd.exe",
            "autoexec.bat",
        ],
    ),
    (
        Feature::PathPlaceholder,
        &[
            "{file}",
            "{sqlinj}",
            "__time__",
            "[sleeptime]",
            "[randnum]",
            "{domain}",
            "[filename]",
            "{cmd}",
        ],
    ),
    (
        Feature::PathHex,
        &[
            "0x2e0x2e", "..0x2f", "..0x5c", "0x2f0x2e", "2e2e2f", "2e2e5c", "..%", "%2e%", "%c0",
            "%c1", "0x2e./", ".0x2e",
        ],
    ),
    (
        Feature::PathWrapper,
        &[
            "php://",
            "expect://",
            "phar://",
            "zip://",
            "data://",
            "file:///etc",
            "file:///proc",
            "file:///dev",
            "file:///var",
            "file:///root",
            "file:///sys",
            "file:///boot",
            "file:///usr",
            "file:///win",
            "file:///c:",
            "file:///%",
            "file:////",
            "file://\\",
            "file://{",
            "file://127",
            "file://localhost",
            "gopher://",
            "dict://",
            "ldap://127",
            "glob://",
            "jar:http",
            "netdoc:",
            "ogg://",
            "php:filter",
            "compress.zlib",
        ],
    ),
    (
        Feature::XxeInclude,
        &[
            "xi:include",
            "xinclude",
            "schemalocation",
            "<xsl:include",
            "<xsl:import",
            "document('",
            "unparsed-text(",
            "<xs:include",
            "<xsd:include",
        ],
    ),
    (
        Feature::ScriptUrl,
        &[
            "data:text/html",
            "view-source:",
            "firefoxurl:",
            "navigatorurl:",
        ],
    ),
    (
        Feature::ScriptStyle,
        &[
            "-moz-binding",
            "expression(",
            "@import",
            "behavior:url",
            "style=behav",
            "list-style-image",
            "background:url",
            "text/css,",
            "text/x-scriptlet",
            "urn:schemas-microsoft",
            "#default#",
        ],
    ),
    (
        Feature::PathOdd,
        &["..;/", "..;\\", "....//", "....\\", "..\\/", "../\\"],
    ),
    (
        Feature::ScriptHandlerBreak,
        &[
            "autofocus onfocus",
            "autofocus/onfocus",
            "'onmouse",
            "\"onmouse",
            "/onload=",
            "/onerror=",
        ],
    ),
    (
        Feature::ScriptEncoded,
        &[
            "string.fromcharcode",
            "[][(![]",
            "(![]+[])",
            "$=~[]",
            "unescape(",
            "\\x61lert",
            "top[",
            "self[",
            "window[",
        ],
    ),
    (
        Feature::ScriptObject,
        &[
            "document.",
            "location.",
            "location=",
            "window.",
            "xmlhttprequest",
            "activexobject",
            ".innerhtml",
        ],
    ),
    (Feature::ScriptBreak, &["--><", "`><", "<!--><", "]]><"]),
    (
        Feature::CommandSsi,
        &["<!--#exec", "<!--#include", "<!--#echo", "<!--#printenv"],
    ),
    (
        Feature::CommandFunction,
        &["() { :", "(){ :;", "() { _;", "(){:", "{ :;};", ":|:&"],
    ),
    (
        Feature::CommandTemplate,
        &[
            "{${",
            "${@",
            "*{t(",
            "${jndi",
            "__import__",
            "t(java.lang",
            "getruntime",
            "{php}",
        ],
    ),
    (
        Feature::CommandOneLiner,
        &[
            "/bin/bash -c",
            "/bin/sh -c",
            "powershell -",
            "cmd /c",
            "cmd.exe /c",
            "powershell.exe",
        ],
    ),
    (Feature::CommandDevice, &["/dev/tcp"]),
    (
        Feature::CommandProgramPath,
        &[
            "/bin/sh",
            "/bin/bash",
            "/bin/cat",
            "/bin/ls",
            "/usr/bin/id",
            "/bin/id",
            "/bin/uname",
        ],
    ),
    (
        Feature::CommandVariable,
        &[
            "$ifs",
            "${ifs",
            "$@",
            "${path:",
            "${home:",
            "${pwd:",
            "${shell:",
            "%programfiles:~",
        ],
    ),
    (
        Feature::CommandCodeCall,
        &[
            "phpinfo()",
            "system('",
            "system(\"",
            "shell_exec(",
            "passthru(",
            "os.system",
            "runtime.exec",
            "child_process",
            "subprocess.",
            "proc_open(",
            "response.write(",
            "os.execute(",
            "base64_decode(",
        ],
    ),
    (
        Feature::SqlBrokenString,
        &[
            "'='",
            "\"=\"",
            "''='",
            "') or",
            "' or ",
            "\" or ",
            "') and",
            "' and ",
            "'||'",
            "' like '",
            "' between ",
        ],
    ),
    (
        Feature::SqlFile,
        &[
            "into outfile",
            "into dumpfile",
            "bulk insert",
            "load data infile",
        ],
    ),
    (
        Feature::SqlTime,
        &[
            "waitfor delay",
            "waitfor time",
            "dbms_pipe.receive",
            "dbms_lock.sleep",
            "heavy query",
        ],
    ),
    (
        Feature::SqlInlineComment,
        &["/**/", "/*!", "*/union", "*/select"],
    ),
];

struct Automaton {
    search: AhoCorasick,
    features: Vec<Feature>,
}

static AUTOMATON: LazyLock<Option<Automaton>> = LazyLock::new(|| {
    let mut texts = Vec::new();
    let mut features = Vec::new();
    for (feature, phrases) in PHRASES {
        texts.extend_from_slice(phrases);
        features.resize(texts.len(), *feature);
    }
    let search = AhoCorasick::builder()
        .ascii_case_insensitive(true)
        .match_kind(MatchKind::Standard)
        // Every state has a full row: one step for each byte, whatever the text is.
        .kind(Some(AhoCorasickKind::DFA))
        .build(texts)
        .ok()?;
    Some(Automaton { search, features })
});

/// Finds the phrases in `cx`, except in code it quotes.
pub(crate) fn scan(cx: &Tokens<'_>, found: &mut Found) {
    let Some(automaton) = AUTOMATON.as_ref() else {
        return;
    };
    let mut quoted = cx.quoted.stretches.iter().peekable();
    let mut quotes = Quotes::default();
    for hit in automaton.search.find_overlapping_iter(cx.text) {
        let (Ok(start), Ok(end)) = (u32::try_from(hit.start()), u32::try_from(hit.end())) else {
            return;
        };
        while quoted.next_if(|(_, to)| *to < end).is_some() {}
        if quoted.peek().is_some_and(|(from, _)| *from < end) {
            continue;
        }
        if let Some(feature) = automaton.features.get(hit.pattern().as_usize()) {
            let closes =
                *feature == Feature::SqlBrokenString && quotes.close_at(cx.text, hit.start());
            found.add_if(!closes, *feature, start);
        }
        if found.is_enough() {
            return;
        }
    }
}

/// The quotes before a place in the text.
#[derive(Default)]
struct Quotes {
    single: usize,
    double: usize,
    /// How much of the text was read.
    end: usize,
}

impl Quotes {
    /// Whether the quote at `at` closes a string that a quote before it opened: what stands
    /// between two whole strings, `a = 'x' or b = 'y'`, breaks nothing.
    fn close_at(&mut self, text: &str, at: usize) -> bool {
        let unread = text.as_bytes().get(self.end..at).unwrap_or_default();
        self.single += unread.iter().filter(|byte| **byte == b'\'').count();
        self.double += unread.iter().filter(|byte| **byte == b'"').count();
        self.end = self.end.max(at);
        match text.as_bytes().get(at) {
            Some(b'\'') => self.single % 2 == 1,
            Some(b'"') => self.double % 2 == 1,
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn phrases_are_lower_case_and_the_automaton_is_small() {
        const AUTOMATON_BYTES_MAX: usize = 4 << 20;
        for phrase in PHRASES.iter().flat_map(|(_, phrases)| *phrases) {
            assert!(
                !phrase.bytes().any(|byte| byte.is_ascii_uppercase()),
                "{phrase}"
            );
        }
        let automaton = AUTOMATON.as_ref().unwrap();
        assert!(automaton.search.memory_usage() < AUTOMATON_BYTES_MAX);
    }
}
