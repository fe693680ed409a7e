//! Words of SQL that mean something one by one.

use crate::lexicon::{WordHash, words};

/// Tables of a database about itself.
pub(super) const CATALOGS: &[WordHash] = words![
    "information_schema",
    "sysobjects",
    "syscolumns",
    "sysdatabases",
    "all_tables",
    "all_users",
    "user_tables",
    "all_tab_columns",
    "dba_users",
    "dba_tables",
    "dba_role_privs",
    "dba_sys_privs",
    "pg_catalog",
    "pg_shadow",
    "pg_user",
    "pg_tables",
    "pg_database",
    "pg_class",
    "sqlite_master",
    "sqlite_schema",
    "msysobjects",
    "table_name",
    "column_name",
    "table_schema",
    "schema_name",
    "user_tab_columns",
    "syslogins",
    "sysusers",
    "all_objects",
    "user_objects",
    "v$version"
];

/// Read or write files of the server.
pub(super) const FILES: &[WordHash] = words![
    "load_file",
    "lo_import",
    "lo_export",
    "pg_read_file",
    "openrowset"
];

/// Run commands.
pub(super) const PROCEDURES: &[WordHash] = words![
    "xp_cmdshell",
    "xp_dirtree",
    "xp_regread",
    "xp_fileexist",
    "xp_servicecontrol",
    "sp_executesql",
    "sp_oacreate",
    "sp_makewebtask",
    "sp_configure",
    "xp_"
];

/// Own tables about the database.
pub(super) const OWNERS: &[WordHash] = words!["sys", "mysql", "master"];

/// Functions that wait.
pub(super) const TIME: &[WordHash] = words![
    "sleep",
    "pg_sleep",
    "benchmark",
    "dbms_pipe",
    "dbms_lock",
    "receive_message",
    "randomblob",
];

/// Functions that leak by their errors.
pub(super) const ERROR: &[WordHash] = words![
    "extractvalue",
    "updatexml",
    "utl_inaddr",
    "utl_http",
    "get_host_address",
    "ctxsys",
    "drithsx",
    "json_keys",
    "gtid_subset",
    "xmltype",
    "procedure",
    "name_const",
    "json_depth",
    "dbms_xmlgen",
];

/// Functions that tell version or user.
pub(super) const WHOAMI: &[WordHash] = words![
    "version",
    "database",
    "user",
    "current_user",
    "session_user",
    "system_user",
    "user_name",
    "current_database",
    "current_setting",
    "db_name",
    "schema_name",
    "suser_sname",
    "sqlite_version",
    "getpgusername",
];

/// Functions that build a string from character codes.
pub(super) const BUILD: &[WordHash] = words![
    "char",
    "chr",
    "concat",
    "concat_ws",
    "group_concat",
    "unhex",
    "ascii",
    "substring",
    "substr",
];

/// Operators that only one server has.
pub(super) const RARE: &[WordHash] = words!["rlike", "sounds", "regexp", "xor"];

/// Operators of a document store, behind a dollar sign.
pub(super) const DOCUMENT: &[WordHash] = words![
    "ne", "gt", "gte", "lt", "lte", "nin", "in", "where", "regex", "exists", "or", "and", "not",
];
