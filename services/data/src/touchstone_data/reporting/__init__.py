"""Reports as pages: values in, HTML out."""
