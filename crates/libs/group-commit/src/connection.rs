//! Statements: what the jobs and queries of a service see of the database.

use std::fmt;

use rusqlite::types::{ToSqlOutput, ValueRef};
use rusqlite::{CachedStatement, ToSql, params_from_iter};

use crate::Error;
use crate::value::{FromValue, Parameter, Value};

/// A connection inside a transaction. Parameters of a statement are `?1`, `?2` and so on.
#[derive(Debug)]
pub struct Connection<'c>(&'c rusqlite::Connection);

/// A prepared statement.
pub struct Statement<'c>(CachedStatement<'c>);

/// A row of an answer.
#[derive(Debug)]
pub struct Row<'r>(&'r rusqlite::Row<'r>);

/// The parameters of a statement, in order.
#[macro_export]
macro_rules! params {
    ($($value:expr),* $(,)?) => {
        &[$(&$value as &dyn $crate::Parameter),*]
    };
}

impl<'c> Connection<'c> {
    pub(crate) fn new(connection: &'c rusqlite::Connection) -> Self {
        Self(connection)
    }

    /// A statement, to be run several times. One that is run once needs no preparing.
    pub fn prepare(&self, sql: &str) -> Result<Statement<'c>, Error> {
        Ok(Statement(self.0.prepare_cached(sql)?))
    }

    /// As [`Statement::execute`].
    pub fn execute(&self, sql: &str, parameters: &[&dyn Parameter]) -> Result<usize, Error> {
        self.prepare(sql)?.execute(parameters)
    }

    /// The first row of an answer, which must have one.
    pub fn query_one<T>(
        &self,
        sql: &str,
        parameters: &[&dyn Parameter],
        read: impl FnOnce(&Row<'_>) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let found = self.query_opt(sql, parameters, read)?;
        found.ok_or_else(|| rusqlite::Error::QueryReturnedNoRows.into())
    }

    /// As [`Statement::query_opt`].
    pub fn query_opt<T>(
        &self,
        sql: &str,
        parameters: &[&dyn Parameter],
        read: impl FnOnce(&Row<'_>) -> Result<T, Error>,
    ) -> Result<Option<T>, Error> {
        self.prepare(sql)?.query_opt(parameters, read)
    }

    /// Every row of an answer.
    pub fn query<T>(
        &self,
        sql: &str,
        parameters: &[&dyn Parameter],
        mut read: impl FnMut(&Row<'_>) -> Result<T, Error>,
    ) -> Result<Vec<T>, Error> {
        let mut all = Vec::new();
        self.for_each(sql, parameters, |row| {
            all.push(read(row)?);
            Ok(())
        })?;
        Ok(all)
    }

    /// As [`Statement::for_each`].
    pub fn for_each(
        &self,
        sql: &str,
        parameters: &[&dyn Parameter],
        each: impl FnMut(&Row<'_>) -> Result<(), Error>,
    ) -> Result<(), Error> {
        self.prepare(sql)?.for_each(parameters, each)
    }

    /// Runs several statements, without parameters.
    pub fn batch_execute(&self, sql: &str) -> Result<(), Error> {
        Ok(self.0.execute_batch(sql)?)
    }
}

impl Statement<'_> {
    /// Runs it, and answers how many rows it inserted, changed or deleted.
    pub fn execute(&mut self, parameters: &[&dyn Parameter]) -> Result<usize, Error> {
        Ok(self.0.execute(params_from_iter(bind(parameters)?))?)
    }

    /// The first row of its answer, if it has one.
    pub fn query_opt<T>(
        &mut self,
        parameters: &[&dyn Parameter],
        read: impl FnOnce(&Row<'_>) -> Result<T, Error>,
    ) -> Result<Option<T>, Error> {
        let mut rows = self.0.query(params_from_iter(bind(parameters)?))?;
        rows.next()?.map(|row| read(&Row(row))).transpose()
    }

    /// Every row of its answer, one by one: none is kept.
    pub fn for_each(
        &mut self,
        parameters: &[&dyn Parameter],
        mut each: impl FnMut(&Row<'_>) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let mut rows = self.0.query(params_from_iter(bind(parameters)?))?;
        while let Some(row) = rows.next()? {
            each(&Row(row))?;
        }
        Ok(())
    }
}

impl fmt::Debug for Statement<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The library's statement does not say what it is.
        f.debug_struct("Statement").finish_non_exhaustive()
    }
}

impl Row<'_> {
    /// The value of a column, by its name. Fails if it is of another type.
    pub fn get<T: FromValue>(&self, column: &str) -> Result<T, Error> {
        T::from_value(self.value(column)?).ok_or_else(|| Error::Column(column.to_owned()))
    }

    /// The text of a column, without a copy.
    pub fn text(&self, column: &str) -> Result<&str, Error> {
        match self.value(column)? {
            Value::Text(text) => Ok(text),
            _ => Err(Error::Column(column.to_owned())),
        }
    }

    /// The bytes of a column, without a copy.
    pub fn bytes(&self, column: &str) -> Result<&[u8], Error> {
        match self.value(column)? {
            Value::Blob(bytes) => Ok(bytes),
            _ => Err(Error::Column(column.to_owned())),
        }
    }

    fn value(&self, column: &str) -> Result<Value<'_>, Error> {
        match self.0.get_ref(column)? {
            ValueRef::Null => Ok(Value::Null),
            ValueRef::Integer(number) => Ok(Value::Integer(number)),
            ValueRef::Text(text) => {
                let text = std::str::from_utf8(text).map_err(|_| Error::Column(column.to_owned()))?;
                Ok(Value::Text(text))
            }
            ValueRef::Blob(bytes) => Ok(Value::Blob(bytes)),
            ValueRef::Real(_) => Err(Error::Column(column.to_owned())),
        }
    }
}

fn bind<'p>(parameters: &'p [&dyn Parameter]) -> Result<Vec<Value<'p>>, Error> {
    parameters.iter().map(Parameter::value).collect()
}

impl ToSql for Value<'_> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(match *self {
            Value::Null => ValueRef::Null,
            Value::Integer(number) => ValueRef::Integer(number),
            Value::Text(text) => ValueRef::Text(text.as_bytes()),
            Value::Blob(bytes) => ValueRef::Blob(bytes),
        }))
    }
}
