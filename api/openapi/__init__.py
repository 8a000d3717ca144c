"""The OpenAPI document: shapes, examples, parameters."""
