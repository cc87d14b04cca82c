//! A cache of composed values that can say up to which moment each is complete.
