//! The errors that operators meet, with what to do about each.

/// Who has to do something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Nobody answers.
    Away,
    /// The broker is there, and says no.
    Refused,
    /// What is there cannot be used.
    Unusable,
}

/// What is known of errors that have one of these signs in their text.
pub(super) struct Known {
    signs: &'static [&'static str],
    pub(super) kind: Kind,
    /// Instead of the text, where that says too little, or something else each time.
    pub(super) what: Option<&'static str>,
    pub(super) to_do: &'static str,
}

impl Known {
    pub(super) fn is(&self, text: &str) -> bool {
        self.signs.iter().any(|sign| text.contains(sign))
    }
}

/// Of attempts to connect; the first that fits counts.
pub(super) const CONNECTING: &[Known] = &[
    Known {
        signs: &["authorization violation"],
        kind: Kind::Refused,
        what: Some("it does not accept the user and the password"),
        to_do: "compare those in NATS_URL with the broker's users",
    },
    Known {
        signs: &["connections exceeded"],
        kind: Kind::Refused,
        what: Some("it has as many connections as it may have"),
        to_do: "raise max_connections of the broker, or end other clients",
    },
    Known {
        signs: &[
            "CertificateRequired",
            "BadCertificate",
            "UnknownCA",
            "CertificateUnknown",
        ],
        kind: Kind::Refused,
        what: Some("it asks for a certificate of this service that its CA signed"),
        to_do: "set NATS_CERT_FILE and NATS_KEY_FILE",
    },
    Known {
        signs: &[
            "UnknownIssuer",
            "CaUsedAsEndEntity",
            "could not load platform certs",
        ],
        kind: Kind::Unusable,
        what: Some("it uses TLS with a certificate that is not trusted here"),
        to_do: "set NATS_CA_FILE to the certificate of the CA that signed it",
    },
    Known {
        signs: &["not valid for name", "NotValidForName"],
        kind: Kind::Unusable,
        what: Some("its certificate is for another name"),
        to_do: "use a name in NATS_URL that is in the certificate",
    },
    Known {
        signs: &[
            "certificate expired",
            "certificate not valid yet",
            "Expired",
            "NotValidYet",
        ],
        kind: Kind::Unusable,
        what: Some("its certificate is expired, or not valid yet"),
        to_do: "renew the certificate, and compare the clocks of both machines",
    },
    Known {
        signs: &["InvalidContentType", "corrupt message"],
        kind: Kind::Unusable,
        what: Some("it does not speak TLS"),
        to_do: "turn TLS on at the broker, or use nats:// in NATS_URL",
    },
    Known {
        signs: &[
            "invalid peer certificate",
            "could not load",
            "could not add certificate",
        ],
        kind: Kind::Unusable,
        what: None,
        to_do: "look at the certificate of the broker, and at the files for TLS",
    },
    Known {
        signs: &[
            "expected INFO",
            "invalid server operation",
            "unable to parse",
            "connection reset",
        ],
        kind: Kind::Unusable,
        what: Some("what listens there does not greet as a NATS server"),
        to_do: "correct NATS_URL, or look at what listens there",
    },
    Known {
        signs: &["Connection refused"],
        kind: Kind::Away,
        what: Some("the connection is refused: nothing listens there"),
        to_do: "start the broker, or correct NATS_URL",
    },
    Known {
        signs: &["timed out"],
        kind: Kind::Away,
        what: Some("nobody answers there"),
        to_do: "look at the network, and whether a NATS server listens at NATS_URL",
    },
    Known {
        signs: &["DNS error"],
        kind: Kind::Away,
        what: Some("its name has no address"),
        to_do: "correct the host in NATS_URL, or look at the name service",
    },
];

/// Of attempts to use the connection; the first that fits counts.
pub(super) const USING: &[Known] = &[
    Known {
        signs: &["Permissions Violation"],
        kind: Kind::Refused,
        what: None,
        to_do: "give this service's user the permission",
    },
    Known {
        signs: &[
            "jetstream unavailable",
            "error code 10076",
            "error code 10039",
            "error code 10008",
        ],
        kind: Kind::Unusable,
        what: Some("JetStream is off, or has no leader"),
        to_do: "start the broker with a jetstream block in its settings, or with --jetstream",
    },
    Known {
        signs: &["error code 10047", "insufficient storage"],
        kind: Kind::Unusable,
        what: Some("the broker has no room for the stream"),
        to_do: "raise max_file_store of the broker, or make room on the disk of its store_dir",
    },
    Known {
        signs: &["error code 10074", "error code 10005"],
        kind: Kind::Unusable,
        what: None,
        to_do: "start the other servers of the cluster, or set STREAM_REPLICAS to 1",
    },
    Known {
        signs: &["no stream found"],
        kind: Kind::Unusable,
        what: Some("there is no stream, or it has no leader"),
        to_do: "",
    },
    Known {
        signs: &["timed out"],
        kind: Kind::Away,
        what: Some("the broker does not answer"),
        to_do: "look at the broker's log: in a cluster, is there a majority?",
    },
];
