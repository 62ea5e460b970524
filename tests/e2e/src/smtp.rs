//! A mail server that takes everything and keeps it (RFC 5321, as far as a sender needs it).

use std::io::{self, BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

/// A mail server; its thread ends with the process.
#[derive(Clone, Debug, Default)]
pub struct MailSink {
    mails: Arc<Mutex<Vec<String>>>,
}

impl MailSink {
    /// Listens on a port of this machine.
    ///
    /// # Errors
    /// The port is taken.
    pub fn start(port: u16) -> io::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", port))?;
        let sink = Self::default();
        let own = sink.clone();
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                // A sender that goes away in the middle has sent nothing.
                let _ = own.serve(stream);
            }
        });
        Ok(sink)
    }

    /// The mails so far, as they came: headers, an empty line, the body.
    #[must_use]
    pub fn mails(&self) -> Vec<String> {
        self.mails.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn serve(&self, mut stream: TcpStream) -> io::Result<()> {
        let mut lines = BufReader::new(stream.try_clone()?).lines();
        stream.write_all(b"220 sink\r\n")?;
        while let Some(line) = lines.next().transpose()? {
            let word = line.get(..4).unwrap_or_default().to_ascii_uppercase();
            if word == "DATA" {
                stream.write_all(b"354 go on\r\n")?;
                let mut mail = String::new();
                for line in lines.by_ref() {
                    let line = line?;
                    if line == "." {
                        break;
                    }
                    mail.push_str(line.strip_prefix('.').unwrap_or(&line));
                    mail.push('\n');
                }
                self.mails.lock().unwrap_or_else(PoisonError::into_inner).push(mail);
            }
            if word == "QUIT" {
                return stream.write_all(b"221 bye\r\n");
            }
            stream.write_all(b"250 ok\r\n")?;
        }
        Ok(())
    }
}
