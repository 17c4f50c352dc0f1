"""The bucket: one small interface over S3, GCS, Azure and a directory, and the layout of the keys in it."""
