CREATE TABLE shelf (item TEXT PRIMARY KEY, jars INTEGER NOT NULL);
INSERT INTO shelf VALUES ('plums', 12), ('pears', 7), ('quinces', 23);
SELECT item, jars FROM shelf WHERE jars > 10 ORDER BY jars;
SELECT count(*), sum(jars), round(sqrt(sum(jars)), 3) FROM shelf;
CREATE VIRTUAL TABLE notes USING fts5(text);
INSERT INTO notes VALUES ('boil the quinces for an hour'), ('the pears keep raw');
SELECT text FROM notes WHERE notes MATCH 'quinces';
