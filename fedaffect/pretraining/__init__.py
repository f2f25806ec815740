"""Training a public backbone, centrally, on people who are not to be protected."""
