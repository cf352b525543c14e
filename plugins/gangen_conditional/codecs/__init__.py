"""Between people and networks where samples are made from something: both sides, an image or a text each."""
