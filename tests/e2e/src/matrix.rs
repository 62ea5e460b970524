//! The table of clients, transports and what they were seen to do.

use std::fmt;

/// What became of one cell.
#[derive(Clone, Debug)]
pub enum Outcome {
    /// It works; what was measured or read in a trace.
    Pass(String),
    /// It does not; what was seen.
    Fail(String),
    /// The client cannot do it; by its own words or trace.
    Cannot(String),
}

impl Outcome {
    /// One word for the table.
    #[must_use]
    pub const fn word(&self) -> &'static str {
        match self {
            Self::Pass(_) => "pass",
            Self::Fail(_) => "FAIL",
            Self::Cannot(_) => "n/a",
        }
    }

    /// What shows it.
    #[must_use]
    pub fn proof(&self) -> &str {
        match self {
            Self::Pass(proof) | Self::Fail(proof) | Self::Cannot(proof) => proof,
        }
    }
}

/// One line: a client on a transport, doing one thing.
#[derive(Clone, Debug)]
pub struct Line {
    /// Who wrote the client.
    pub client: &'static str,
    /// How it reaches the server.
    pub transport: &'static str,
    /// What it did.
    pub deed: &'static str,
    /// What became of it.
    pub outcome: Outcome,
}

/// All lines of a run.
#[derive(Clone, Debug, Default)]
pub struct Matrix(pub Vec<Line>);

impl Matrix {
    /// Lines that failed.
    #[must_use]
    pub fn failures(&self) -> usize {
        self.0.iter().filter(|line| matches!(line.outcome, Outcome::Fail(_))).count()
    }
}

impl fmt::Display for Matrix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{:<9} {:<5} {:<21} {:<5} proof", "client", "over", "deed", "")?;
        for line in &self.0 {
            let Line { client, transport, deed, outcome } = line;
            let (word, proof) = (outcome.word(), outcome.proof());
            writeln!(f, "{client:<9} {transport:<5} {deed:<21} {word:<5} {proof}")?;
        }
        Ok(())
    }
}
