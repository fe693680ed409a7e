//! The words that mean something to a grammar, and what they mean.
//!
//! One table for all grammars, looked up once for each word of a text. A word may belong to
//! several classes: `like` is SQL and English, `time` is a command and a word.

use std::sync::LazyLock;

use crate::command::Command;
use crate::grammar::Grammar;
use crate::markup::Markup;
use crate::sql::Sql;

/// A set of classes that a word belongs to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Classes(u32);

impl Classes {
    pub(crate) const NONE: Self = Self(0);
    /// A statement of SQL starts with it.
    pub(crate) const SQL_VERB: Self = Self(1);
    /// Any other keyword of SQL.
    pub(crate) const SQL_KEYWORD: Self = Self(1 << 1);
    /// A function of SQL that ordinary prose does not name.
    pub(crate) const SQL_FUNCTION: Self = Self(1 << 2);
    /// Joins two conditions: `or`, `and`, `xor`.
    pub(crate) const LOGIC: Self = Self(1 << 3);
    /// Compares two values: `like`, `is`, `in`, `between`.
    pub(crate) const COMPARE: Self = Self(1 << 4);
    /// Continues a statement after a value: `union`, `having`, `order`, `into`.
    pub(crate) const CLAUSE: Self = Self(1 << 5);
    /// `select`.
    pub(crate) const SELECT: Self = Self(1 << 6);
    /// `from`, `into`, `table`, `where`, `values`, `set`: what a verb of SQL needs.
    pub(crate) const SQL_OBJECT: Self = Self(1 << 7);
    /// A command of a Unix shell.
    pub(crate) const UNIX: Self = Self(1 << 8);
    /// A command of a Windows shell.
    pub(crate) const WINDOWS: Self = Self(1 << 9);
    /// A command that is also an ordinary word: `time`, `find`, `echo`, `more`.
    pub(crate) const COMMON: Self = Self(1 << 10);
    /// A shell or an interpreter.
    pub(crate) const SHELL: Self = Self(1 << 11);
    /// Runs another command: `nohup`, `sudo`, `env`.
    pub(crate) const RUNS: Self = Self(1 << 12);
    /// A function of a scripting language that runs code or commands.
    pub(crate) const CODE_CALL: Self = Self(1 << 13);
    /// A function of JavaScript that attack lists use as their proof.
    pub(crate) const JS_CALL: Self = Self(1 << 14);
    /// An object of a browser.
    pub(crate) const JS_OBJECT: Self = Self(1 << 15);
    /// A tag that can run script or load something.
    pub(crate) const TAG_RISKY: Self = Self(1 << 16);
    /// Any other tag.
    pub(crate) const TAG: Self = Self(1 << 17);
    /// A scheme of a URL that runs script.
    pub(crate) const SCRIPT_SCHEME: Self = Self(1 << 18);
    /// An attribute of a directory entry.
    pub(crate) const LDAP: Self = Self(1 << 19);
    /// A function word of a natural language that is no keyword of any grammar.
    pub(crate) const STOP: Self = Self(1 << 20);
    /// A word people address a model with: `explain`, `how`, `please`.
    pub(crate) const TALK: Self = Self(1 << 21);
    /// `null`.
    pub(crate) const NULL: Self = Self(1 << 22);
    /// `union`.
    pub(crate) const UNION: Self = Self(1 << 23);
    /// `all`, `distinct`: may stand between `union` and `select`.
    pub(crate) const QUANTIFIER: Self = Self(1 << 24);
    /// Looks like an event handler of markup: `onload`.
    pub(crate) const HANDLER: Self = Self(1 << 25);
    /// A directory of programs or devices: `bin`, `dev`.
    pub(crate) const DIRECTORY: Self = Self(1 << 26);
    /// The grammar of SQL has a rule that begins here; so with the next ones. Words and signs
    /// without such a mark need not be shown to the grammar.
    pub(crate) const FOR_SQL: Self = Self(1 << 27);
    /// For the grammar of commands.
    pub(crate) const FOR_COMMAND: Self = Self(1 << 28);
    /// For the grammar of markup.
    pub(crate) const FOR_MARKUP: Self = Self(1 << 29);
    /// For the grammar of directory filters.
    pub(crate) const FOR_LDAP: Self = Self(1 << 30);
    /// A word of SQL in odd case: `uNiOn`.
    pub(crate) const MIXED_CASE: Self = Self(1 << 31);

    /// What words belong to, without the marks for grammars.
    pub(crate) const ALL: Self = Self(Self::FOR_SQL.0 - 1);

    pub(crate) const fn bits(self) -> u32 {
        self.0
    }

    pub(crate) const fn and(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    pub(crate) const fn or(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    pub(crate) const fn has(self, any: Self) -> bool {
        self.0 & any.0 != 0
    }
}

/// All words of a SQL grammar.
pub(crate) const SQL: Classes = Classes::SQL_VERB
    .or(Classes::SQL_KEYWORD)
    .or(Classes::SQL_FUNCTION)
    .or(Classes::LOGIC)
    .or(Classes::COMPARE)
    .or(Classes::CLAUSE)
    .or(Classes::SQL_OBJECT)
    .or(Classes::NULL);

/// All commands.
pub(crate) const COMMAND: Classes = Classes::UNIX.or(Classes::WINDOWS).or(Classes::SHELL);

const WORDS: &[(Classes, &str)] = &[
    (
        Classes::SQL_VERB,
        "select insert update delete drop create alter truncate exec execute declare grant revoke \
         merge replace shutdown waitfor call handler bulk begin commit rollback rename backup \
         restore load print goto use",
    ),
    (Classes::SELECT, "select"),
    (Classes::UNION, "union intersect except minus"),
    (Classes::QUANTIFIER, "all distinct distinctrow top"),
    (Classes::LOGIC, "or and xor not"),
    (
        Classes::COMPARE,
        "like rlike regexp is in between glob sounds ilike similar soundex notnull isnull div mod \
         exists any some all match escape collate binary",
    ),
    (
        Classes::CLAUSE,
        "union having order group into limit procedure where offset intersect except minus for \
         returning rownum join on as when then",
    ),
    (
        Classes::SQL_OBJECT,
        "from into table where values set database view schema column user",
    ),
    (
        Classes::SQL_KEYWORD,
        "by asc desc inner outer left right join on as using case when then else end if null \
         distinct top limit offset primary key foreign references index constraint default \
         varchar nvarchar char integer int bigint decimal numeric text datetime date timestamp \
         cast convert interval over partition with recursive dual analyse outfile dumpfile \
         delay identified login trigger function procedure cursor fetch while loop row_number \
         begin end rownum fields lines terminated local",
    ),
    (Classes::NULL, "null"),
    (
        Classes::SQL_FUNCTION,
        "sleep pg_sleep benchmark concat concat_ws group_concat load_file extractvalue updatexml \
         ascii substring substr substring_index mid ord hex unhex chr version database user \
         current_user session_user system_user current_database current_setting schema_name \
         db_name user_name suser_sname is_srvrolemember xp_cmdshell xp_dirtree xp_regread \
         sp_password sp_executesql sp_oacreate sp_makewebtask openrowset opendatasource \
         openquery utl_inaddr utl_http get_host_address dbms_pipe dbms_lock receive_message \
         ctxsys drithsx json_keys json_depth elt make_set exp rand floor row_count geometrycollection \
         polygon multipoint linestring md5 sha1 aes_encrypt aes_decrypt encode decode compress \
         uncompress ifnull nullif isnull coalesce nvl cast convert cos sin tan pi log sqrt pow \
         count min max sum avg char bin_to_uuid uuid_to_bin length char_length bit_length \
         char_ascii lower upper reverse trim ltrim rtrim lpad rpad instr locate position strcmp \
         greatest least to_char to_number to_date string_agg array_agg listagg xmltype \
         xmlelement query_to_xml database_to_xml pg_read_file pg_ls_dir lo_import lo_export \
         sqlite_version load_extension randomblob zeroblob printf like unicode replicate \
         dbms_xmlgen getpgusername inet_server_addr generate_series name_const st_latfromgeohash \
         last_insert_id connection_id gtid_subset gtid_subtract object_id col_length fn_my_permissions",
    ),
    (
        Classes::UNIX,
        "cat ls id whoami uname pwd ps netstat ifconfig ip ping wget curl nc ncat netcat nmap \
         telnet ssh scp sftp rsync chmod chown rm mv cp mkdir rmdir touch ln dd df du mount umount \
         tail head grep egrep fgrep zgrep awk gawk sed cut sort uniq wc tr tee xargs find locate \
         tac nl od xxd hexdump strings base64 base32 gzip gunzip zcat bzip2 bzcat xz xzcat tar zip \
         unzip 7z cpio ar nslookup dig host traceroute route arp iptables ip6tables ss lsof kill \
         pkill killall top htop free vmstat uptime last lastlog lastb w who users groups \
         useradd userdel usermod passwd chpasswd su sudo crontab at systemctl service \
         journalctl dmesg lsb_release hostname printenv env export set alias unalias source eval \
         exec nohup setsid timeout time nice ionice watch strace ltrace gdb gcc cc make git svn \
         hg apt yum dnf pacman pip pip3 npm gem brew docker kubectl mysql psql sqlite3 redis \
         vi vim view nano ed ex less more man echo printf sleep test true false yes expr bc dc \
         shutdown reboot halt poweroff init mkfifo mknod socat openssl gpg busybox flock script \
         screen tmux lynx w3m links ftp tftp finger fold fmt join paste comm diff cmp sum cksum \
         md5sum sha1sum sha256sum split csplit shuf seq rev column expand unexpand look column \
         stat file readlink realpath basename dirname which whereis type command builtin declare \
         typeset read mapfile trap ulimit umask wait jobs fg bg disown unshare nsenter chroot \
         capsh setarch stdbuf taskset start-stop-daemon run-parts logsave rlwrap setfacl getfacl \
         aria2c ascii-xfr ash aspell awk aws batch bpftrace bridge byebug cancel certbot chsh \
         cmp cobc composer cowsay cpan cpulimit crash csplit cupsfilter dash debugfs dialog dmsetup \
         dosbox dvips easy_install eb emacs enscript eqn espeak exiftool facter ftp gcore gem genie \
         genisoimage ghc ghci gimp ginsh grc grub-install gtester hd hping3 iconv iftop install irb \
         ispell jjs jq jrunscript jtag ksh kshell ldconfig loginctl ltrace lua lualatex luatex mail \
         mawk mosquitto msgattrib msgcat msgfilter msgmerge mtr multitime mutt nasm nawk ncftp \
         neofetch node nroff ntpdate octave openvpn opkg pandoc pax pdb pdflatex perf pexec pic pico \
         pidstat posh pr pry psftp ptx puppet rake rc readelf restic rpm rpmdb rpmquery rview rvim \
         sash scanmem scrot service sg shuf slsh smbclient snap soelim sqlmap ssh-keygen ssh-keyscan \
         sysctl tasksh tbl tclsh tdbtool tex tic timedatectl troff ul unexpand unsquashfs uudecode \
         uuencode valgrind varnishncsa vigr vimdiff vipw virsh volatility watch wish xdotool xelatex \
         xetex xmodmap xmore xpad xxd yelp zathura zip zsh zsoelim zypper whois getent blkid lsblk \
         fdisk arch lscpu lsmod modprobe insmod ifup ifdown iwconfig nmcli tcpdump tshark sysinfo \
         ansible ansible-playbook ansible-console ansible-config ansible-doc ansible-galaxy \
         ansible-inventory ansible-pull ansible-vault ansible-test ansible-connection chef-client \
         chef-solo chef-shell chef-vault chef-server-ctl chef-run knife salt salt-call terraform \
         gzexe zless zmore zdiff zcmp zegrep bzless bzmore bzgrep bzip2recover xzless lzma unlzma \
         lzcat lzless lz4 lz4cat zstd zstdcat zstdless dpkg apt-get apt-cache aptitude gunicorn \
         nginx httpd apachectl a2enmod sendmail mailx mutt nologin adduser addgroup deluser \
         do done fi then esac else groupadd gpasswd visudo sudoedit doas pkexec dbus-send gdbus busctl iptables-save nft \
         ufw firewall-cmd ethtool brctl conntrack tc rfkill hostnamectl localectl dstat iostat \
         sar mpstat pmap pgrep pidof pstree fuser renice chattr lsattr mktemp mkpasswd fallocate \
         truncate shred wipefs losetup mkfs fsck swapon swapoff tune2fs resize2fs xfs_info lvs vgs \
         pvs mdadm smartctl hdparm dmidecode lspci lsusb lshw inxi acpi sensors i2cdetect rtcwake \
         hwclock date cal ntpq chronyc uuidgen factor numfmt nproc tsort pathchk tty stty reset \
         clear tput setterm chvt openvt showkey loadkeys logger logrotate rsyslogd",
    ),
    (
        Classes::WINDOWS,
        "dir type net ipconfig systeminfo tasklist taskkill reg ver cmd powershell pwsh wmic \
         netsh sc schtasks copy xcopy robocopy move del erase rd ren attrib icacls cacls takeown \
         certutil bitsadmin mshta rundll32 regsvr32 cscript wscript nbtstat tracert pathping \
         findstr find more whoami hostname quser qwinsta query net1 start call for if set echo \
         nslookup ping arp route shutdown assoc ftype vol chkdsk diskpart format fc comp sysinfo \
         start-sleep start-process invoke-expression invoke-webrequest iex iwr get-process \
         get-content get-childitem get-host get-service set-executionpolicy write-host \
         write-output new-object invoke-command get-wmiobject out-file",
    ),
    (
        Classes::SHELL,
        "sh bash zsh ksh csh tcsh dash ash fish cmd powershell pwsh python python2 python3 perl \
         ruby php node lua tclsh busybox java nodejs",
    ),
    (
        Classes::RUNS,
        "nohup sudo env time timeout nice xargs exec eval setsid watch strace ltrace ionice \
         flock unshare nsenter chroot stdbuf taskset setarch command builtin busybox start cmd \
         call find doas pkexec unbuffer rlwrap script logsave multitime cpulimit run-parts su",
    ),
    (
        Classes::COMMON,
        "time find test more less man view make echo sleep type set start call for if move copy \
         join paste split file source last who users host at top free service script screen watch \
         links wait read sort cut head tail install date cal print command format true false yes \
         look date reset clear fold column column stat factor sum test mail finger crash genie \
         route init use query puppet salt knife snap dialog bridge batch cancel nice expand \
         timeout which install perf pic pry pax yelp wish octave arch sensors tree id ip at sc \
         export alias declare trap builtin kill who script pr ul look ed ex nl od tr w bc dc ar ar ss \
         eval exec move del net ver vol comp fc reg dash fish node java php perl python ruby lua gem brew \
         do done fi then esac else docker git svn npm pip tar zip mount strings passwd groups rename touch cat",
    ),
    (
        Classes::CODE_CALL,
        "system exec shell_exec passthru popen proc_open pcntl_exec eval assert phpinfo \
         create_function call_user_func include require include_once require_once preg_replace \
         file_get_contents file_put_contents base64_decode execute os subprocess __import__ \
         spawn execsync spawnsync child_process runtime getruntime processbuilder waitfor \
         check_output popen2 compile fopen readfile show_source highlight_file gzinflate \
         str_rot13 array_map usleep printf print",
    ),
    (
        Classes::JS_CALL,
        "alert prompt confirm eval settimeout setinterval msgbox fromcharcode atob function \
         expression write writeln execscript fetch import open console",
    ),
    (
        Classes::JS_OBJECT,
        "document window location cookie innerhtml outerhtml string self top parent frames \
         xmlhttprequest activexobject localstorage sessionstorage navigator constructor \
         createelement appendchild domain referrer globalthis xmlhttp postmessage srcdoc xhr",
    ),
    (
        Classes::TAG_RISKY,
        "script iframe frame frameset object embed applet svg math img image body html link meta \
         base style video audio source form input button isindex bgsound layer ilayer marquee \
         details select textarea keygen animate animatetransform animatemotion set foreignobject \
         xml xss x event-source eventsource handler listener use noscript portal \
         xmp plaintext listing blink basefont track picture \
         feimage line vmlframe vml import importimplementation brute maction mglyph",
    ),
    (
        Classes::TAG,
        "a div br table td title option menu dialog template slot p span ul ol li h1 h2 h3 h4 h5 h6 b i u em strong tr th tbody thead section nav header \
         footer main article aside figure label fieldset legend hr pre code blockquote dl dt dd \
         center font head abbr address small sub sup canvas map area optgroup output progress \
         meter summary time circle rect path g text polygon ellipse defs",
    ),
    (Classes::DIRECTORY, "bin sbin usr dev"),
    (
        Classes::SCRIPT_SCHEME,
        "javascript vbscript livescript jscript mocha vbs",
    ),
    (
        Classes::LDAP,
        "cn uid sn ou dc objectclass mail userpassword givenname samaccountname memberof \
         userprincipalname telephonenumber homephone mobile member name displayname description \
         homedirectory uidnumber gidnumber loginshell gecos jpegphoto commonname surname title \
         manager password pass user username l st street streetaddress postalcode postaladdress \
         employeenumber employeetype department departmentnumber company objectcategory \
         objectguid objectsid distinguishedname useraccountcontrol admincount pwdlastset \
         lastlogon badpwdcount primarygroupid serviceprincipalname physicaldeliveryofficename \
         facsimiletelephonenumber pager initials carlicense labeleduri preferredlanguage o c \
         dn entrydn entryuuid owner seealso uniquemember organizationalunitname countryname \
         domaincomponent roomnumber secretary businesscategory registeredaddress x500uniqueidentifier \
         usercertificate shadowlastchange shadowmax shadowmin sshpublickey krbprincipalname \
         accountexpires proxyaddresses info code flag secret token attribute comment email",
    ),
    (
        Classes::STOP,
        "the a an of to this that these those it its i me my we our you your he she his her they \
         their what which who whom whose how why when where there here be been being was were am \
         are has have had does did will would should could can may might must shall about after \
         before because while during through between without within against also only just very \
         much many more most some such same other another each every both few than then so if but \
         with at by for from into over under again once too do don t s re ve ll im ive isnt doesnt \
         please explain summarise summarize rewrite comment review like want need know think use \
         using used get make made give given one two first last new good",
    ),
    (
        Classes::STOP,
        "el la los las un una unos unas de del que y en por para con sin su sus mi es son como \
         pero más este esta estos estas muestra al le les des du et est dans pour par sur avec \
         sans ce cette ces qui ne pas plus se sont au une der die das den dem des ein eine \
         einen einem eines und ist im von mit für auf zu nicht sich auch als bei oder werden wird \
         wie nach zum zur aus dieser diese dieses il lo gli di da che per non sono della dei \
         nel nella delle degli o os as do da dos das um uma em no na nos nas com não mais ou \
         het een van op te aan voor niet zijn met wordt naar dit dat w z na się do jest nie od \
         oraz lub jak dla przez tym ve bir bu için ile da yang di dan ini itu dengan untuk dari \
         ke tidak dalam att och det som på är av för till en med inte den ett ett eller om je \
         in si se pe la cu din pentru este sau de na v sa alebo nebo pro je jak que és hogy az",
    ),
    (
        Classes::TALK,
        "explain what how why when where who which can could would should please write rewrite \
         summarise summarize review help tell show describe translate generate create give \
         implement fix debug convert compare list find suggest improve optimise optimize is are \
         do does i add validate analyze analyse discuss design solve calculate provide build",
    ),
    // The same in the languages that have no letters of their own to tell them by.
    (
        Classes::TALK,
        "was wie warum wieso weshalb wo wer welche welcher welches kann kannst bitte erkläre \
         erklär zeige schreibe comment pourquoi quel quelle quels quelles qu'est explique expliquez \
         écris montre peux pouvez que cómo qué cuál cuáles dónde puedo puedes explica escribe \
         necesito muéstrame porque por come perché perche quale cosa puoi spiega scrivi como qual \
         quais onde posso explique escreva jak dlaczego czy co jaka wyjaśnij napisz hoe waarom wat \
         welke kun leg schrijf hur varför vad vilken kan förklara skriv hvordan hvorfor hvad nasıl \
         neden nedir cara bagaimana apa mengapa jelaskan tolong",
    ),
];

/// Which words each grammar has rules for, by class and one by one.
const MARKED: [(Classes, Classes, &[&[WordHash]]); 3] = [
    words_of::<Sql>(),
    words_of::<Command>(),
    words_of::<Markup>(),
];

const fn words_of<G: Grammar>() -> (Classes, Classes, &'static [&'static [WordHash]]) {
    (G::MARK, G::WORDS, G::NAMES)
}

/// Enough slots for half of them to stay free; a power of two.
const SLOTS: usize = 1 << SLOT_BITS;
const SLOT_BITS: u32 = 13;

/// Longer words are in no class.
pub(crate) const WORD_BYTES_MAX: usize = 32;

struct Table {
    slots: Vec<(WordHash, Classes)>,
}

static TABLE: LazyLock<Table> = LazyLock::new(Table::new);

impl Table {
    fn new() -> Self {
        let mut table = Self {
            slots: vec![(WordHash::NONE, Classes::NONE); SLOTS],
        };
        for (classes, words) in WORDS {
            for word in words.split_ascii_whitespace() {
                table.insert(WordHash::of(word), *classes);
            }
        }
        for (mark, classes, names) in MARKED {
            for name in names.iter().copied().flatten() {
                table.insert(*name, mark);
            }
            for (_, found) in &mut table.slots {
                if found.has(classes) {
                    *found = found.or(mark);
                }
            }
        }
        table
    }

    fn insert(&mut self, word: WordHash, classes: Classes) {
        for at in word.slots() {
            match self.slots.get_mut(at) {
                Some(slot) if slot.0 == WordHash::NONE || slot.0 == word => {
                    *slot = (word, slot.1.or(classes));
                    return;
                }
                Some(_) => {}
                None => return,
            }
        }
    }
}

/// The classes of the word with this hash.
#[inline]
pub(crate) fn classes(word: WordHash) -> Classes {
    for at in word.slots() {
        match TABLE.slots.get(at) {
            Some((found, classes)) if *found == word => return *classes,
            Some((WordHash::NONE, _)) | None => return Classes::NONE,
            Some(_) => {}
        }
    }
    Classes::NONE
}

/// The hash of a word without regard to case, added up while the word is read (FNV-1a). It is
/// compared instead of the word: who finds a second word with the same hash has found a strange
/// way to be screened more strictly.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct WordHash(u32);

/// The hash of a word that is written out, made when the package is compiled.
macro_rules! word {
    ($word:literal) => {
        const { $crate::lexicon::WordHash::of($word) }
    };
}

/// The hashes of some words.
macro_rules! words {
    ($($word:literal),* $(,)?) => {
        const { &[$($crate::lexicon::WordHash::of($word)),*] }
    };
}

pub(crate) use {word, words};

impl WordHash {
    /// Of no word.
    pub(crate) const NONE: Self = Self(0);

    const PRIME: u32 = 0x0100_0193;

    pub(crate) const fn new() -> Self {
        Self(0x811c_9dc5)
    }

    /// The hash of a whole word that is in lower case.
    pub(crate) const fn of(word: &str) -> Self {
        let mut hash = Self::new();
        let mut rest = word.as_bytes();
        while let [byte, tail @ ..] = rest {
            hash.0 = (hash.0 ^ *byte as u32).wrapping_mul(Self::PRIME);
            rest = tail;
        }
        hash
    }

    #[inline]
    pub(crate) fn add(&mut self, byte: u8) {
        self.0 = (self.0 ^ u32::from(byte.to_ascii_lowercase())).wrapping_mul(Self::PRIME);
    }

    /// The slots to try, spread so that neighbouring words do not share them. Few are ever
    /// tried: most of the table is empty.
    #[inline]
    fn slots(self) -> impl Iterator<Item = usize> {
        const PROBES_MAX: usize = 32;
        // The golden ratio of 2^32: the upper bits depend on all the bits of the hash.
        let first = (self.0.wrapping_mul(0x9e37_79b9) >> (u32::BITS - SLOT_BITS)) as usize;
        (first..first + PROBES_MAX).map(|slot| slot % SLOTS)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_have_their_classes_in_any_case() {
        let mut hash = WordHash::new();
        b"SeLeCt".iter().for_each(|byte| hash.add(*byte));
        assert_eq!(hash, WordHash::of("select"));
        assert!(classes(hash).has(Classes::SELECT));
        assert!(classes(WordHash::of("whoami")).has(Classes::UNIX));
        assert!(classes(WordHash::of("the")).has(Classes::STOP));
        assert_eq!(classes(WordHash::of("belljar")), Classes::NONE);
    }

    #[test]
    fn the_table_has_room_and_no_collisions() {
        let used = TABLE
            .slots
            .iter()
            .filter(|slot| slot.0 != WordHash::NONE)
            .count();
        let distinct = |mut words: Vec<_>| {
            words.sort_unstable();
            words.dedup();
            words.len()
        };
        let words = || {
            WORDS
                .iter()
                .flat_map(|(_, words)| words.split_ascii_whitespace())
        };
        let hashes: Vec<_> = words().map(|word| WordHash::of(word).0).collect();
        let mut all = hashes.clone();
        let names = MARKED
            .iter()
            .flat_map(|(_, _, names)| names.iter().copied().flatten());
        all.extend(names.map(|name| name.0));
        assert_eq!(distinct(hashes), {
            let mut texts: Vec<_> = words().collect();
            texts.sort_unstable();
            texts.dedup();
            texts.len()
        });
        assert_eq!(used, distinct(all));
        assert!(used * 2 < SLOTS, "{used} of {SLOTS}");
    }
}
