//! What columns hold, and what statements take.

use crate::Error;

/// A value in a column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Value<'v> {
    /// None.
    Null,
    /// A number of 64 bits, or a truth value as 0 or 1.
    Integer(i64),
    /// A text.
    Text(&'v str),
    /// Bytes.
    Blob(&'v [u8]),
}

/// A parameter of a statement.
pub trait Parameter {
    /// What the database gets. Fails if a number has more than 63 bits.
    fn value(&self) -> Result<Value<'_>, Error>;
}

/// What can be read from a column.
pub trait FromValue: Sized {
    /// None if the value is of another type, or out of range.
    fn from_value(value: Value<'_>) -> Option<Self>;
}

impl<T: Parameter + ?Sized> Parameter for &T {
    fn value(&self) -> Result<Value<'_>, Error> {
        (**self).value()
    }
}

impl<T: Parameter> Parameter for Option<T> {
    fn value(&self) -> Result<Value<'_>, Error> {
        self.as_ref().map_or(Ok(Value::Null), T::value)
    }
}

impl Parameter for str {
    fn value(&self) -> Result<Value<'_>, Error> {
        Ok(Value::Text(self))
    }
}

impl Parameter for String {
    fn value(&self) -> Result<Value<'_>, Error> {
        Ok(Value::Text(self))
    }
}

impl Parameter for Vec<u8> {
    fn value(&self) -> Result<Value<'_>, Error> {
        Ok(Value::Blob(self))
    }
}

impl Parameter for bool {
    fn value(&self) -> Result<Value<'_>, Error> {
        Ok(Value::Integer(i64::from(*self)))
    }
}

impl<T: FromValue> FromValue for Option<T> {
    fn from_value(value: Value<'_>) -> Option<Self> {
        match value {
            Value::Null => Some(None),
            value => T::from_value(value).map(Some),
        }
    }
}

impl FromValue for String {
    fn from_value(value: Value<'_>) -> Option<Self> {
        match value {
            Value::Text(text) => Some(text.to_owned()),
            _ => None,
        }
    }
}

impl FromValue for Vec<u8> {
    fn from_value(value: Value<'_>) -> Option<Self> {
        match value {
            Value::Blob(bytes) => Some(bytes.to_owned()),
            _ => None,
        }
    }
}

impl FromValue for bool {
    fn from_value(value: Value<'_>) -> Option<Self> {
        i64::from_value(value).map(|number| number != 0)
    }
}

/// Numbers that are stored as 64 bits with a sign.
macro_rules! numbers {
    ($($number:ty),*) => {$(
        impl Parameter for $number {
            fn value(&self) -> Result<Value<'_>, Error> {
                let number = i64::try_from(*self).map_err(|_| Error::TooLarge)?;
                Ok(Value::Integer(number))
            }
        }

        impl FromValue for $number {
            fn from_value(value: Value<'_>) -> Option<Self> {
                match value {
                    Value::Integer(number) => number.try_into().ok(),
                    _ => None,
                }
            }
        }
    )*};
}

numbers!(i64, u64, u32, u16, usize);
