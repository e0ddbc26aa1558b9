//! The headers by which proxies say for whom they speak.

/// Every header line with which a proxy speaks for another, as it came.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ForwardingHeaders {
    /// `Forwarded` (RFC 7239).
    pub forwarded: Vec<String>,
    /// `X-Forwarded-For`.
    pub x_forwarded_for: Vec<String>,
    /// `X-Real-IP`.
    pub x_real_ip: Vec<String>,
    /// Whether there was any other: it names nobody, and still shows that somebody forwards.
    pub others: bool,
}

/// Headers that forwarding programs set besides those above and `X-Forwarded-*`.
const OTHERS: [&str; 7] = [
    "cf-connecting-ip",
    "client-ip",
    "fastly-client-ip",
    "true-client-ip",
    "x-client-ip",
    "x-cluster-client-ip",
    "x-original-forwarded-for",
];

impl ForwardingHeaders {
    /// Picks them out of a request's headers. A value that is no text counts as one that names
    /// nobody.
    pub fn gather<'a>(headers: impl IntoIterator<Item = (&'a str, &'a [u8])>) -> Self {
        let mut found = Self::default();
        for (name, value) in headers {
            let name = name.to_ascii_lowercase();
            let list = match name.as_str() {
                "forwarded" => &mut found.forwarded,
                "x-forwarded-for" => &mut found.x_forwarded_for,
                "x-real-ip" => &mut found.x_real_ip,
                other => {
                    found.others |= other.starts_with("x-forwarded-") || OTHERS.contains(&other);
                    continue;
                }
            };
            list.push(String::from_utf8_lossy(value).into_owned());
        }
        found
    }

    /// Whether there is none: nobody claims to forward.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        !self.others && self.lines().next().is_none()
    }

    /// How much there is to read, in bytes.
    pub(super) fn size(&self) -> usize {
        self.lines().map(String::len).sum()
    }

    fn lines(&self) -> impl Iterator<Item = &String> {
        self.forwarded.iter().chain(&self.x_forwarded_for).chain(&self.x_real_ip)
    }
}
