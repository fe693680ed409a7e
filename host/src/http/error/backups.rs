//! What whoever asks for a backup reads when there is none.

use super::ApiError;
use crate::backup::BackupError;

impl From<BackupError> for ApiError {
    fn from(error: BackupError) -> Self {
        if error.is_out_of_space() {
            return Self::disk_full(error.to_string());
        }
        match error {
            BackupError::Busy => {
                let text = "Another backup is being made: one at a time.";
                Self::conflict("backup_running", text)
            }
            BackupError::ModelDamaged { ref id, .. } => {
                let text = format!(
                    "The files of {id} are not whole. Upload it again or remove it, so that the \
                     rest can be backed up."
                );
                Self::conflict("model_files_damaged", text).because(error.to_string())
            }
            BackupError::TooManyFiles { files, limit } => {
                let text = format!("There are {files} files; a backup holds at most {limit}.");
                Self::conflict("backup_too_large", text)
            }
            BackupError::Database(_)
            | BackupError::AuditLog(_)
            | BackupError::File { .. }
            | BackupError::Unreadable(_)
            | BackupError::Archive(_)
            | BackupError::NotABackup(_)
            | BackupError::Newer { .. }
            | BackupError::OutOfPlace { .. }
            | BackupError::Altered { .. }
            | BackupError::Trailer
            | BackupError::NotEmpty { .. }
            | BackupError::BeingRestored { .. }
            | BackupError::NotReplaceable { .. }
            | BackupError::NoRoom { .. }
            | BackupError::DatabaseDefect(_)
            | BackupError::Mark
            | BackupError::Keys(_)
            | BackupError::Models(_)
            | BackupError::ModelMissing { .. }
            | BackupError::Audit(_)
            | BackupError::Store(_)
            | BackupError::BrokenOff(_) => Self::internal(error.to_string()),
        }
    }
}
