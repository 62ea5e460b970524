pub(crate) fn bench() -> std::io::Result<Vec<crate::Figure>> { Ok(vec![]) }
