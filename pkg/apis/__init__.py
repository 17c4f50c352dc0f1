"""The API objects as types: what Ark's nine kinds and the slim core kinds look like, and every name Ark writes."""
