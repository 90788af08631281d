-- Every turn wrote into it twice. What is unfinished has a row in `inbox` or `saved`.
DROP INDEX conversation_unfinished;
