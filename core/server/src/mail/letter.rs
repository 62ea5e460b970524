//! A letter as it waits in the store, and as it is sent (RFC 5322, RFC 2046).

use std::path::{Path, PathBuf};

use lettre::Message;
use lettre::message::header::ContentType;
use lettre::message::{Attachment, Mailbox, MultiPart, SinglePart};
use serde::{Deserialize, Serialize};

/// What is to be sent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Letter {
    /// Its receivers.
    pub(crate) to: Vec<String>,
    /// Its subject.
    pub(crate) subject: String,
    /// Its words.
    pub(crate) text: String,
    /// The file that goes with it, and what it is called there.
    pub(crate) attachment: Option<(PathBuf, String)>,
    /// When it was ordered, in ms since 1970 by the server's date.
    pub(crate) ordered_ms: i64,
}

/// A letter cannot be made: its own fault, so that trying again is of no use.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LetterError {
    /// An address is none.
    #[error("\"{0}\" is no mail address")]
    Address(String),
    /// The file that goes with it.
    #[error("the attachment {} cannot be read: {error}", path.display())]
    Attachment {
        /// Which.
        path: PathBuf,
        /// The system's words.
        error: std::io::Error,
    },
    /// The library's words.
    #[error("cannot be written: {0}")]
    Form(String),
}

impl Letter {
    /// The message, from `from`; `id` makes it the same message however often it is tried.
    pub(crate) fn message(&self, from: &Mailbox, id: &str) -> Result<Message, LetterError> {
        let mut builder = Message::builder()
            .from(from.clone())
            .subject(line(&self.subject))
            .message_id(Some(format!("<{}@{}>", line(id), from.email.domain())));
        for address in &self.to {
            let address: Mailbox =
                address.parse().map_err(|_| LetterError::Address(address.clone()))?;
            builder = builder.to(address);
        }
        let text = SinglePart::plain(self.text.clone());
        let message = match &self.attachment {
            None => builder.singlepart(text),
            Some((path, name)) => {
                let file = attachment(path, name)?;
                builder.multipart(MultiPart::mixed().singlepart(text).singlepart(file))
            }
        };
        message.map_err(|error| LetterError::Form(error.to_string()))
    }
}

fn attachment(path: &Path, name: &str) -> Result<SinglePart, LetterError> {
    let bytes = std::fs::read(path)
        .map_err(|error| LetterError::Attachment { path: path.to_owned(), error })?;
    let kind = match path.extension().and_then(|kind| kind.to_str()) {
        Some("pdf") => "application/pdf",
        Some("jpg") => "image/jpeg",
        _ => "audio/wav",
    };
    let kind = ContentType::parse(kind).unwrap_or(ContentType::TEXT_PLAIN);
    Ok(Attachment::new(line(name)).body(bytes, kind))
}

/// One line: what a caller's name or a module brings must not begin a header of its own.
fn line(text: &str) -> String {
    text.chars().filter(|letter| !letter.is_control()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn letter() -> Letter {
        Letter {
            to: vec!["office@example.co.jp".to_owned()],
            subject: "伝言\r\nBcc: x@example.com".to_owned(),
            text: "本文".to_owned(),
            attachment: None,
            ordered_ms: 0,
        }
    }

    fn from() -> Mailbox {
        "koukan@example.co.jp".parse().unwrap()
    }

    #[test]
    fn a_subject_begins_no_header_of_its_own() {
        let message = letter().message(&from(), "m-1").unwrap();
        let text = String::from_utf8(message.formatted()).unwrap();
        assert!(!text.contains("\r\nBcc:"), "{text}");
        assert!(text.contains("Message-ID: <m-1@example.co.jp>"), "{text}");
        assert_eq!(message.envelope().to().len(), 1);
    }

    #[test]
    fn an_attachment_goes_with_it_and_a_missing_one_is_named() {
        let path = std::env::temp_dir().join(format!("koukan-letter-{}.wav", std::process::id()));
        std::fs::write(&path, b"RIFF").unwrap();
        let attachment = Some((path.clone(), "message.wav".to_owned()));
        let with = Letter { attachment, ..letter() };
        let text = with.message(&from(), "m-1").unwrap().formatted();
        let text = String::from_utf8(text).unwrap();
        assert!(text.contains("audio/wav") && text.contains("message.wav"), "{text}");
        std::fs::remove_file(&path).unwrap();
        let error = with.message(&from(), "m-1").unwrap_err().to_string();
        assert!(error.contains("cannot be read"), "{error}");
    }

    #[test]
    fn a_wrong_address_is_named() {
        let wrong = Letter { to: vec!["nobody".to_owned()], ..letter() };
        let error = wrong.message(&from(), "m-1").unwrap_err().to_string();
        assert_eq!(error, "\"nobody\" is no mail address");
    }
}
